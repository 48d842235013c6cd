"""Adaptive training sample selection (Zhang et al., 2020)."""

from dataclasses import dataclass
from functools import partial

import jax.numpy as jnp
from jaxtyping import Array, Float

from lad_jax import boxes
from lad_jax.assign import pairs
from lad_jax.assign.base import Assigner, Explanation
from lad_jax.fields import check_range
from lad_jax.types import Assignment, CostTable, Predictions, Scene


@dataclass(frozen=True)
class ATSSOptions:
    """Options of ATSS; the defaults are the published ones."""

    candidates_per_level: int = 9
    """Number of the priors nearest to an object's centre that are its candidates, on each level."""

    def __post_init__(self) -> None:
        check_range(self, "candidates_per_level", least=1)


def make_atss(options: ATSSOptions) -> Assigner:
    """ATSS's functions, closed over the options."""
    return Assigner(
        partial(cost, options=options), partition, static=True, quality_target="centerness", explain=explain
    )


def cost(scene: Scene, predictions: Predictions, *, options: ATSSOptions) -> CostTable:
    """1 - IoU of each object with its candidates: on each level the valid priors nearest to its centre.

    Predictions do not enter. Besides: `iou`, of the priors themselves.
    """
    dx, dy = pairs.from_centre(scene)
    distance, real = dx**2 + dy**2, pairs.real_pairs(scene)
    n = options.candidates_per_level
    candidate = [pairs.cheapest(distance[:, level], real[:, level], n, most=n) for level in scene.priors.levels.slices]
    eligible = jnp.concatenate(candidate, axis=1)
    iou = boxes.pairwise_iou(scene.truth.boxes, scene.priors.boxes)
    return pairs.make_table(scene, 1 - iou, compared=eligible, eligible=eligible, iou=iou)


def partition(table: CostTable, scene: Scene) -> Assignment:
    """Positive are candidates above the threshold whose point is inside; the largest IoU wins a contest."""
    _, _, threshold = statistics(table)
    iou = table.besides["iou"]
    positive = (table.object >= 0) & (iou >= threshold[:, None]) & (pairs.depth_in_box(scene) > pairs.INSIDE)
    return pairs.make_assignment(scene, pairs.preferred(positive, iou))


def explain(table: CostTable, scene: Scene) -> Explanation:
    """Mean and deviation of the IoUs of each object's candidates, and the IoU from which on one is positive."""
    return Explanation(dict(zip(("mean", "std", "threshold_iou"), statistics(table), strict=True)), {})


def statistics(table: CostTable) -> tuple[Float[Array, " G"], Float[Array, " G"], Float[Array, " G"]]:
    """Mean µ and deviation σ (with n - 1) of the IoUs of each object's candidates, and its threshold µ + σ."""
    candidate, iou = table.object >= 0, table.besides["iou"]
    count = jnp.sum(candidate, axis=1, dtype=jnp.float32)
    mean = jnp.sum(jnp.where(candidate, iou, 0.0), axis=1) / jnp.maximum(count, 1)
    squares = jnp.sum(jnp.where(candidate, (iou - mean[:, None]) ** 2, 0.0), axis=1)
    std = jnp.sqrt(squares / jnp.maximum(count - 1, 1))
    return mean, std, mean + std
