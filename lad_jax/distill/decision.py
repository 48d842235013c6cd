"""The assignment of one picture with all that led to it: every network's costs, whose counted, and the reasons."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

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


class Verdict(NamedTuple):
    """An assignment, and the assigner's reasons."""

    assignment: Assignment
    explanation: Explanation


class Decision(NamedTuple):
    """The assignment of one picture with all that led to it."""

    tables: dict[Network, CostTable]
    """Costs by each network; entries are the same ones."""
    source: Int[Array, "*E"]
    """Index in `Method.costs_from` of the network whose cost counts, -1 where the entry has no object."""
    verdict: Verdict
    """The verdict by the costs that count."""
    alone: dict[Network, Verdict]
    """The verdict that each network's costs alone would give, but for one whose costs are all that count."""


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

    def judge(table: CostTable) -> Verdict:
        explanation = assigner.explain(table, scene) if assigner.explain else Explanation({}, {})
        return Verdict(assigner.partition(table, scene), explanation)

    alone = {name: judge(table) for name, table in tables.items() if method.costs_from != (name,)}
    return Decision(tables, source, judge(table), alone)


def without_padding(decision: Decision, n_objects: int) -> Decision:
    """The decision without the rows of objects beyond the first so many; its arrays are numpy's."""
    of_pairs = decision.source.ndim == 2

    def first(arrays: dict[str, Any]) -> dict[str, Any]:
        return {name: x[:n_objects] for name, x in arrays.items()}

    def trimmed(verdict: Verdict) -> Verdict:
        objects, entries = verdict.explanation
        return verdict._replace(explanation=Explanation(first(objects), first(entries) if of_pairs else entries))

    if of_pairs:
        tables, source = jax.tree.map(lambda x: x[:n_objects], (decision.tables, decision.source))
        decision = decision._replace(tables=tables, source=source)
    alone = {name: trimmed(verdict) for name, verdict in decision.alone.items()}
    return decision._replace(verdict=trimmed(decision.verdict), alone=alone)


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
