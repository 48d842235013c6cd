"""Whose costs decide: every method of the paper is a policy over the cost tables of its networks (design 1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lad_jax import masked
from lad_jax.losses import BoxWeighting
from lad_jax.types import CostTable, GroundTruth, Network, Priors


@dataclass(frozen=True)
class Method:
    """Which networks learn, and whose cost tables count."""

    trained: tuple[Network, ...]
    costs_from: tuple[Network, ...]
    """One network: its table. Two: the switch decides, entry by entry."""
    box_weighting: BoxWeighting

    @property
    def frozen(self) -> tuple[Network, ...]:
        """Networks that only supply costs."""
        return tuple(name for name in self.costs_from if name not in self.trained)

    @property
    def networks(self) -> tuple[Network, ...]:
        return (*self.trained, *self.frozen)


METHODS = {
    "paa": Method(("student",), ("student",), "iou"),
    "lad": Method(("student",), ("teacher",), "uniform"),
    "dynamic_lad": Method(("student",), ("student", "teacher"), "uniform"),
    "colad": Method(("student", "teacher"), ("student", "teacher"), "uniform"),
}


def policy(
    tables: Mapping[Network, CostTable], priors: Priors, truth: GroundTruth, *, n_levels: int
) -> tuple[CostTable, Bool[Array, "B A"]]:
    """The table that decides, and which of its candidates have their cost from the teacher.

    With one table there is nothing to decide. With two the better one is taken for each object and pyramid level:
    the switch selects costs, not networks, so the two may differ in architecture.

    Args:
      tables: by network, those of `Method.costs_from`; batched, like the other arguments.
      priors: the two networks' common priors.
      truth: the objects.
      n_levels: number of pyramid levels.
    """
    if len(tables) == 1:
        [(name, table)] = tables.items()
        return table, (table.object >= 0) & (name == "teacher")
    student, teacher = tables["student"], tables["teacher"]
    n_cells = truth.labels.shape[1] * n_levels
    # Candidates depend on boxes alone, so both tables have the same.
    is_candidate = student.object >= 0
    cell = jnp.where(is_candidate, student.object * n_levels + priors.level, n_cells)
    better = jax.vmap(partial(teacher_is_better, n_cells=n_cells))(student.cost, teacher.cost, cell)
    from_teacher = is_candidate & jnp.take_along_axis(better, cell, axis=1)
    return student._replace(cost=jnp.where(from_teacher, teacher.cost, student.cost)), from_teacher


def teacher_is_better(
    student: Float[Array, " A"], teacher: Float[Array, " A"], cell: Int[Array, " A"], *, n_cells: int
) -> Bool[Array, " N"]:
    """CoLAD's switch: in each cell the network whose costs have the larger std/mean teaches (eq. 3, spec 7.4).

    The standard deviation is the unbiased one. A tie goes to the teacher. A lone candidate has no deviation: there
    the smaller cost teaches, a tie going to the student. A network that gave a cell a cost that is not finite does
    not teach there.

    Args:
      student, teacher: costs of the same priors.
      cell: which cell a cost belongs to; `n_cells` for none.

    Returns:
      One decision a cell, N = n_cells + 1: the last stands for the priors without a cell.
    """

    def per_cell(values: Float[Array, " A"]) -> Float[Array, " N"]:
        return jax.ops.segment_sum(values, cell, n_cells + 1)

    count = per_cell(jnp.ones_like(student))

    def score(cost: Float[Array, " A"]) -> Float[Array, " N"]:
        n = jnp.maximum(count, 1)
        mean = per_cell(cost) / n
        deviation = jnp.sqrt(per_cell((cost - mean[cell]) ** 2) / jnp.maximum(n - 1, 1)) / mean
        broken = per_cell((~masked.is_finite(cost)).astype(cost.dtype)) > 0
        return jnp.where(broken, -jnp.inf, jnp.where(count == 1, -mean, deviation))

    ours, theirs = score(student), score(teacher)
    return jnp.where(count == 1, theirs > ours, theirs >= ours)
