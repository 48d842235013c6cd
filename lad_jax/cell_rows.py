"""Values of cells laid out in rows of one length, so that sums over cells are sums over rows and then over few rows."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lad_jax.rounding import ceil_div

ROW = 32
"""Length of a row; longer ones would leave more places empty."""


def in_rows(
    values: Float[Array, " N"], cell: Int[Array, " N"], n_cells: int
) -> tuple[Float[Array, "R S"], Bool[Array, "R S"], Int[Array, " R"]]:
    """Values in rows of one cell each; a mask of the places that hold one; each row's cell, `n_cells` for none."""
    n = len(values)
    n_rows = n // ROW + n_cells
    cell, values = jax.lax.sort((cell, values), num_keys=1)
    count = jax.ops.segment_sum(jnp.ones_like(cell), cell, n_cells)
    rows_of_cell = ceil_div(count, ROW)
    end = jnp.cumsum(rows_of_cell)
    place = ROW * (end - rows_of_cell) - (jnp.cumsum(count) - count)  # of a cell's first value, less its index
    place = jnp.where(cell < n_cells, place[jnp.minimum(cell, n_cells - 1)] + jnp.arange(n), n_rows * ROW)
    rows = jnp.zeros(n_rows * ROW, values.dtype).at[place].set(values, mode="drop")
    mask = jnp.zeros(n_rows * ROW, bool).at[place].set(True, mode="drop")
    cell_of_row = jnp.searchsorted(end, jnp.arange(n_rows), side="right")
    return rows.reshape(n_rows, ROW), mask.reshape(n_rows, ROW), cell_of_row
