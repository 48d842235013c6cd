"""The assignment of one picture with all that led to it: every network's costs, whose counted, and the reasons."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from lad_jax import masked
from lad_jax.assign import Assigner
from lad_jax.assign.base import Explanation
from lad_jax.distill.methods import Method
from lad_jax.distill.policy import policy
from lad_jax.distill.switch import SwitchOptions
from lad_jax.types import Assignment, CostTable, Network, Predictions, Scene


class Decision(NamedTuple):
    """The assignment of one picture with all that led to it."""

    tables: dict[Network, CostTable]
    """Costs by each network; entries are the same ones."""
    source: Int[Array, "*E"]
    """Index in `Method.costs_from` of the network whose cost counts, -1 where the entry has no object."""
    assignment: Assignment
    explanation: Explanation


def decide(
    predictions: Mapping[Network, Predictions],
    scene: Scene,
    *,
    method: Method,
    assigner: Assigner,
    switch: SwitchOptions,
) -> Decision:
    """The assignment of one picture, as `assign_batch` gives it, with all that led to it.

    Args:
      predictions: by network: of those whose costs count, and of any others whose costs are of interest.
      scene: of the picture.
      method: whose costs count.
      assigner: the functions of costs and of the partition.
      switch: how networks are compared, where several supply costs. A picture is a batch of its own here.
    """
    switch = replace(switch, scope="image" if switch.scope == "batch" else switch.scope)
    tables = {name: assigner.cost(scene, p) for name, p in jax.lax.stop_gradient(dict(predictions)).items()}
    table, source = policy([tables[name] for name in method.costs_from], scene, switch)
    explanation = assigner.explain(table, scene) if assigner.explain else Explanation({}, {})
    return Decision(tables, source, assigner.partition(table, scene), explanation)


def without_padding(decision: Decision, n_objects: int) -> Decision:
    """The decision without the rows of objects beyond the first so many; its arrays are numpy's."""
    of_objects = {name: x[:n_objects] for name, x in decision.explanation.objects.items()}
    explanation = decision.explanation._replace(objects=of_objects)
    if decision.source.ndim == 2:
        first = jax.tree.map(lambda x: x[:n_objects], (decision.tables, decision.source, explanation.entries))
        tables, source, entries = first
        decision = decision._replace(tables=tables, source=source)
        explanation = explanation._replace(entries=entries)
    return decision._replace(explanation=explanation)


def known_costs(table: CostTable) -> Float[np.ndarray, "*E"]:
    """The costs of a table, NaN where an entry may not be chosen or has no finite cost."""
    cost, there = np.asarray(table.cost), np.asarray(table.object) >= 0
    return np.where(there & (cost < masked.WORST), cost, np.float32(np.nan))


def networks_with_costs(
    method: Method, assigner: Assigner, with_quality: Mapping[Network, bool]
) -> tuple[Network, ...]:
    """Networks of a method that can supply costs; of a static assigner, by which all have the same, those that assign.

    Args:
      method: names the networks, and those whose costs count.
      assigner: gives the costs.
      with_quality: whether each network predicts IoUs, which an assigner may need.
    """
    if assigner.static:
        return method.costs_from
    able = (name for name in method.networks if with_quality[name] or not assigner.needs_quality)
    return tuple(dict.fromkeys((*able, *method.costs_from)))
