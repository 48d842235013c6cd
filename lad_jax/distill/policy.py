"""The policy over the cost tables of a method's networks: whose costs assign the priors."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from lad_jax.distill.cells import make_cells
from lad_jax.distill.switch import SwitchOptions, switching_score
from lad_jax.types import CostTable, Scene


def policy(tables: Sequence[CostTable], scene: Scene, options: SwitchOptions) -> tuple[CostTable, Int[Array, "*E"]]:
    """The cost table that assigns one picture's priors, and which network each of its costs is from.

    With one table there is nothing to choose. With several the better one is taken in each cell: the switch selects
    costs, not networks, so these may differ in architecture. A tie goes to the later network, as where nothing of the
    cell is compared; only of lone candidates, to the first.

    Args:
      tables: of the networks of `Method.costs_from`, in its order, which a dict would lose below `jax.vmap`.
      scene: of the picture.
      options: of the switch: what a cell is, and what better means. With scope `batch` this is called below
        `jax.vmap(..., axis_name=cells.PICTURES)`.

    Returns:
      The table, and for each entry the index in `tables` of the network that its cost is from, -1 where the entry has
      no object.
    """
    chosen, *others = tables
    source = jnp.zeros_like(chosen.object)
    if others:
        cells = make_cells(chosen, scene, options.scope)
        lone = cells.total(jnp.ones_like(chosen.cost)) == 1
        best = switching_score(chosen.cost, cells, options)
        for index, table in enumerate(others, start=1):
            score = switching_score(table.cost, cells, options)
            better = jnp.where(lone, score > best, score >= best)
            best = jnp.where(better, score, best)
            here = cells.spread(better)
            # What the project is about: where another network's costs are the better ones, they decide.
            chosen = jax.tree.map(lambda theirs, ours, here=here: jnp.where(here, theirs, ours), table, chosen)
            source = jnp.where(here, index, source)
    return chosen, jnp.where(chosen.object >= 0, source, -1)
