"""SimOTA: each object chooses its k cheapest priors, k by the quality of its boxes (Ge et al., 2021)."""

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lad_jax.assign import pairs
from lad_jax.assign.base import Assigner
from lad_jax.fields import check_range
from lad_jax.types import Assignment, CostTable, Predictions, Scene

LEAST_LOG = -100.0
"""Lower bound of a logarithm in the classification cost."""


class Form(NamedTuple):
    """Constants in which the published forms differ."""

    radius: float
    """Half the side of the window around an object's centre [strides]."""
    in_box: bool
    """Whether a pair without penalty also lies in the box, and a prior in any box is eligible."""
    penalty: float
    """Cost that is added to other pairs."""
    epsilon: float
    """Added to the IoU before its logarithm."""
    by_quality: bool
    """Whether the score is the geometric mean of class probability and objectness, for which the predicted IoU stands;
    else it is the class probability alone."""


FORMS = {
    "mmdet": Form(radius=2.5, in_box=True, penalty=1e5, epsilon=1e-7, by_quality=False),
    "yolox": Form(radius=1.5, in_box=False, penalty=1e6, epsilon=1e-8, by_quality=True),
}


@dataclass(frozen=True)
class SimOTAOptions:
    """Options of SimOTA."""

    form: Literal["mmdet", "yolox"] = "mmdet"
    """Published form: mmdetection's, also YOLOX's first; or YOLOX's present one, with a smaller window, whose score
    includes the objectness, for which the IoU branch stands here."""
    candidates: int = 10
    """Number of the largest IoUs that make an object's k, and so the most priors that it can choose."""
    iou_weight: float = 3.0
    """Weight of -ln IoU beside the classification cost."""
    target: Literal["hard", "iou"] = "hard"
    """Target of a positive's class: 1, or the predicted IoU with the object, as YOLOX has it."""

    def __post_init__(self) -> None:
        check_range(self, "candidates", least=1)
        check_range(self, "iou_weight", least=0)


def make_simota(options: SimOTAOptions) -> Assigner:
    """SimOTA's two functions, closed over the options."""
    return Assigner(
        partial(cost, options=options),
        partial(partition, options=options),
        soft_target=options.target == "iou",
        needs_quality=FORMS[options.form].by_quality,
    )


def cost(scene: Scene, predictions: Predictions, *, options: SimOTAOptions) -> CostTable:
    """Classification and box cost of every pair of an object and an eligible prior.

    cost = Σ_c BCE_c + iou_weight · -ln(IoU + ε)

    summed over all classes, the object's being the positive one. Eligible is a prior that lies in the window of any
    object, or in its box. Besides: `iou`, of the predicted box.
    """
    form = FORMS[options.form]
    in_box, in_window = pairs.depth_in_box(scene) > 0, pairs.depth_in_window(scene, form.radius) > 0
    allowed, near = (in_box & in_window, in_box | in_window) if form.in_box else (in_window, in_window)
    eligible = jnp.any(near & scene.truth.objects[:, None], axis=0, keepdims=True)
    iou = pairs.predicted_iou(scene, predictions)
    log_p, log_not_p = _with_quality(predictions) if form.by_quality else predictions[:2]
    total = classification(log_p, log_not_p, scene) - options.iou_weight * jnp.log(iou + form.epsilon)
    return pairs.make_table(scene, total, compared=allowed, eligible=eligible, iou=iou)


def classification(log_p: Float[Array, "A C"], log_not_p: Float[Array, "A C"], scene: Scene) -> Float[Array, "G A"]:
    """Binary cross entropy of each prior, summed over all classes, were it the object's."""
    present, absent = (-jnp.maximum(x, LEAST_LOG) for x in (log_p, log_not_p))
    return jnp.sum(absent, axis=1)[None] - pairs.of_class(absent, scene) + pairs.of_class(present, scene)


def _with_quality(predictions: Predictions) -> tuple[Float[Array, "A C"], Float[Array, "A C"]]:
    """ln s and ln(1-s) of s = √(class probability · predicted IoU)."""
    assert predictions.quality_logit is not None  # `Assigner.needs_quality`
    log_score = (predictions.class_log_p + jax.nn.log_sigmoid(predictions.quality_logit)[:, None]) / 2
    return log_score, jnp.log(-jnp.expm1(log_score))


def partition(table: CostTable, scene: Scene, *, options: SimOTAOptions) -> Assignment:
    """Each object chooses its k cheapest eligible priors, k being the whole part of the sum of its largest IoUs."""
    iou = table.besides["iou"]
    owner = pairs.dynamic_k_owner(table, penalised(table, options), iou_sum(table, options), most=options.candidates)
    return pairs.make_assignment(scene, owner, pairs.of_owner(iou, owner) if options.target == "iou" else None)


def penalised(table: CostTable, options: SimOTAOptions) -> Float[Array, "G A"]:
    """Costs, with the penalty on pairs that are not allowed."""
    return table.cost + jnp.where(table.compared, 0.0, FORMS[options.form].penalty)


def iou_sum(table: CostTable, options: SimOTAOptions) -> Float[Array, " G"]:
    """Sum of each object's largest IoUs with eligible priors, also with those of a penalty."""
    return pairs.sum_of_largest(table.besides["iou"], pairs.choosable(table), options.candidates)
