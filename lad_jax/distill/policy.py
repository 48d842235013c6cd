"""Whose costs decide: every method is a policy over the cost tables of its networks (design 1)."""

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from lad_jax.distill.switch import SwitchOptions, best_network
from lad_jax.types import CostTable, GroundTruth, Network, Priors


def policy(
    tables: Mapping[Network, CostTable],
    priors: Priors,
    truth: GroundTruth,
    *,
    n_levels: int,
    options: SwitchOptions,
) -> tuple[CostTable, Int[Array, "B A"]]:
    """The table that decides, and which network each of its costs is from.

    With one table there is nothing to decide. With several the best one is taken in each cell: the switch selects
    costs, not networks, so these may differ in architecture.

    Args:
      tables: by network, those of `Method.costs_from`, in its order; batched, like the other arguments.
      priors: the networks' common priors.
      truth: the objects.
      n_levels: number of pyramid levels.
      options: what a cell is, and what best means.

    Returns:
      The table, and for each prior the index of the network in `tables`, -1 where it is no candidate.
    """
    # Candidates depend on boxes alone, so all tables have the same.
    candidate = next(iter(tables.values())).object
    is_candidate = candidate >= 0
    costs = jnp.stack([table.cost for table in tables.values()], axis=1)
    if len(tables) == 1:
        teaches = jnp.zeros_like(candidate)
    else:
        n_objects = truth.labels.shape[1]
        cell, n_cells = {
            "object_level": (candidate * n_levels + priors.level, n_objects * n_levels),
            "object": (candidate, n_objects),
            "image": (jnp.zeros_like(candidate), 1),
            "batch": (jnp.zeros_like(candidate), 1),
        }[options.scope]
        cell = jnp.where(is_candidate, cell, n_cells)
        compared = costs
        if options.scope == "batch":  # as one long image
            cell, compared = cell.reshape(1, -1), costs.swapaxes(0, 1).reshape(1, len(tables), -1)
        best = jax.vmap(partial(best_network, n_cells=n_cells, criterion=options.criterion))(compared, cell)
        teaches = jnp.take_along_axis(best, cell, axis=1).reshape(candidate.shape)
    cost = jnp.take_along_axis(costs, teaches[:, None], axis=1)[:, 0]
    return CostTable(cost, candidate), jnp.where(is_candidate, teaches, -1)
