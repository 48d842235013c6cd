"""The cells in which networks are compared: sets of entries of a cost table."""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from lad_jax.types import CostTable, Levels, Scene

Scope = Literal["object_level", "object", "image", "batch"]
PICTURES = "pictures"
"""Name of the axis of `jax.vmap` over the pictures of a batch, which the scope `batch` sums over."""


class Cells(NamedTuple):
    """K sets of entries, for one picture."""

    total: Callable[[Float[Array, "*E"]], Float[Array, " K"]]
    """Sum over the compared entries of each cell; for the scope `batch` over those of all pictures."""
    total_of_all: Callable[[Float[Array, "*E"]], Float[Array, " K"]]
    """The same over all entries that have an object: those that the switch does not compare may be chosen too."""
    spread: Callable[[Shaped[Array, " K"]], Shaped[Array, "*E"]]
    """A value of each cell as one of each entry; meaningless for entries without a cell."""
    entries: Callable[[Float[Array, "*E"]], tuple[Float[Array, " N"], Int[Array, " N"], int]]
    """Values of entries in one row, the cell of each (K for none), and K; for `batch` those of all pictures."""


def make_cells(table: CostTable, scene: Scene, scope: Scope) -> Cells:
    """The cells of a picture: each object on each level, each object, the picture, or the whole batch.

    Args:
      table: of any network; which entries there are is by boxes alone.
      scene: of the picture.
      scope: what a cell is. With `batch`, call this below `jax.vmap(..., axis_name=PICTURES)`.
    """
    levels, n_objects = scene.priors.levels, len(scene.truth.labels)
    n_cells = {"object_level": n_objects * len(levels), "object": n_objects}.get(scope, 1)
    level = jnp.broadcast_to(levels.of_prior, table.object.shape)
    one = jnp.zeros_like(table.object)
    number = {"object_level": table.object * len(levels) + level, "object": table.object}.get(scope, one)
    if table.object.ndim == 1:
        total, spread = partial(_compact_total, number=number, n_cells=n_cells), partial(_compact_spread, cell=number)
    else:
        shape = {"object_level": (n_objects, len(levels)), "object": (n_objects, 1)}.get(scope, (1, 1))
        total = partial(_dense_total, shape=shape, levels=levels)
        spread = partial(_dense_spread, shape=shape, levels=levels)

    def total_of(mask: Bool[Array, "*E"]) -> Callable[[Float[Array, "*E"]], Float[Array, " K"]]:
        if scope == "batch":
            return lambda values: jax.lax.psum(total(values, mask), PICTURES)
        return lambda values: total(values, mask)

    def entries(values: Float[Array, "*E"]) -> tuple[Float[Array, " N"], Int[Array, " N"], int]:
        row = values.ravel(), jnp.where(table.compared, number, n_cells).ravel()
        if scope == "batch":
            row = jax.tree.map(lambda x: jax.lax.all_gather(x, PICTURES).ravel(), row)
        return *row, n_cells

    return Cells(total_of(table.compared), total_of(table.object >= 0), spread, entries)


def _compact_total(
    values: Float[Array, " A"], mask: Bool[Array, " A"], *, number: Int[Array, " A"], n_cells: int
) -> Float[Array, " K"]:
    return jax.ops.segment_sum(values, jnp.where(mask, number, n_cells), n_cells + 1)[:-1]


def _compact_spread(of_cell: Shaped[Array, " K"], *, cell: Int[Array, " A"]) -> Shaped[Array, " A"]:
    return of_cell[jnp.maximum(cell, 0)]


def _dense_total(
    values: Float[Array, "G A"], mask: Bool[Array, "G A"], *, shape: tuple[int, int], levels: Levels
) -> Float[Array, " K"]:
    """Sums by the static slices of levels: a segment sum over G·A entries takes several times as long."""
    values = jnp.where(mask, values, 0.0)
    by_level = jnp.stack([jnp.sum(values[:, level], axis=1) for level in levels.slices], axis=1)
    for axis, size in enumerate(shape):
        by_level = by_level if size > 1 else jnp.sum(by_level, axis=axis, keepdims=True)
    return by_level.reshape(math.prod(shape))


def _dense_spread(of_cell: Shaped[Array, " K"], *, shape: tuple[int, int], levels: Levels) -> Shaped[Array, "#G A"]:
    by_level = jnp.broadcast_to(of_cell.reshape(shape), (shape[0], len(levels)))
    return jnp.repeat(by_level, np.array(levels.sizes), axis=1, total_repeat_length=sum(levels.sizes))
