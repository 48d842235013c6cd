"""RTMDet's dynamic soft label assignment (Lyu et al., 2022)."""

import math
from dataclasses import dataclass
from functools import partial

import jax.numpy as jnp
from jaxtyping import Array, Float

from lad_jax.assign import pairs
from lad_jax.assign.base import Assigner
from lad_jax.fields import check_range
from lad_jax.types import Assignment, CostTable, Predictions, Scene

EPSILON = 1e-7
"""Added to the IoU before its logarithm."""
FREE_DISTANCE = 3.0
"""Distance to an object's centre at which the penalty is 1 [strides]."""
LARGEST = 3e38
"""Bound of penalised costs, so that they stay finite."""


@dataclass(frozen=True)
class DynamicSoftLabelOptions:
    """Options of the dynamic soft label assignment; the defaults are RTMDet's."""

    candidates: int = 13
    """Number of the largest IoUs that make an object's k, and so the most priors that it can choose."""
    iou_weight: float = 3.0
    """Weight of -ln IoU beside the classification cost."""

    def __post_init__(self) -> None:
        check_range(self, "candidates", least=1)
        check_range(self, "iou_weight", least=0)


def make_dynamic_soft_label(options: DynamicSoftLabelOptions) -> Assigner:
    """The two functions, closed over the options."""
    return Assigner(partial(cost, options=options), partial(partition, options=options), soft_target=True)


def cost(scene: Scene, predictions: Predictions, *, options: DynamicSoftLabelOptions) -> CostTable:
    """Classification and box cost of every pair of an object and an eligible prior, one whose point lies in any object.

    cost = Σ_c (t_c - p_c)² BCE(p_c, t_c) + iou_weight · -ln(IoU + ε),     t = IoU for the object's class, 0 for others

    Besides: `iou`, of the predicted box.
    """
    log_p, log_not_p = predictions.class_log_p, predictions.class_log_not_p
    in_box = pairs.depth_in_box(scene) > 0
    eligible = jnp.any(in_box & scene.truth.objects[:, None], axis=0, keepdims=True)
    iou = pairs.predicted_iou(scene, predictions)
    absent = -jnp.exp(2 * log_p) * log_not_p
    ours, ours_not = pairs.of_class(log_p, scene), pairs.of_class(log_not_p, scene)
    present = -((iou - jnp.exp(ours)) ** 2) * (iou * ours + (1 - iou) * ours_not)
    classification = jnp.sum(absent, axis=1)[None] - pairs.of_class(absent, scene) + present
    total = classification - options.iou_weight * jnp.log(iou + EPSILON)
    return pairs.make_table(scene, total, compared=in_box, eligible=eligible, iou=iou)


def partition(table: CostTable, scene: Scene, *, options: DynamicSoftLabelOptions) -> Assignment:
    """Each object chooses its k cheapest eligible priors, k being the whole part of the sum of its largest IoUs.

    A positive's target is the IoU of the predicted box.
    """
    iou = table.besides["iou"]
    owner = pairs.dynamic_k_owner(table, penalised(table, scene), iou_sum(table, options), most=options.candidates)
    return pairs.make_assignment(scene, owner, pairs.of_owner(iou, owner))


def penalised(table: CostTable, scene: Scene) -> Float[Array, "G A"]:
    """Costs, and the price of the distance d to the object's centre in strides: 10^(d - 3)."""
    dx, dy = pairs.from_centre(scene)
    distance = jnp.sqrt(dx**2 + dy**2) / pairs.strides(scene.priors)
    price = jnp.exp(math.log(10) * (distance - FREE_DISTANCE))
    return jnp.minimum(table.cost + price, LARGEST)


def iou_sum(table: CostTable, options: DynamicSoftLabelOptions) -> Float[Array, " G"]:
    """Sum of each object's largest IoUs with eligible priors."""
    return pairs.sum_of_largest(table.besides["iou"], pairs.choosable(table), options.candidates)
