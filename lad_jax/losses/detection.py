"""The detection loss of one network, given an assignment (spec 6)."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lad_jax import boxes, masked
from lad_jax.losses.focal import focal_negative, focal_positive, quality_focal
from lad_jax.losses.options import LossSetting
from lad_jax.losses.sums import Loss, Scalars, Sums
from lad_jax.types import Assignment, Predictions, Scene


def make_detection(setting: LossSetting) -> Loss:
    """The loss of a network's predictions on the assignment."""
    return Loss(partial(detection_sums, setting=setting), partial(detection_divisors, setting=setting))


def detection_sums(
    predictions: Predictions,
    teacher: Predictions | None,
    assignment: Assignment,
    scene: Scene,
    *,
    setting: LossSetting,
) -> Sums:
    """Class loss of all priors; GIoU loss and loss of the quality branch of the positives (spec 6.1 and 6.3).

    Terms `class`, `box` and `quality`; without a quality branch the last is 0. Measures: `positives`, their number N₊;
    `target`, the sum of their class targets; and `box_weight`, the sum of the weights that the box losses were given.

    The quality branch's target, and a box's weight, carry no gradient. The teacher's predictions are not used. Source:
    paper section 3, spec 6.
    """
    truth = scene.truth
    object_of = jnp.maximum(assignment.object, 0)
    box_of = truth.boxes[object_of]
    classes = class_losses(predictions, assignment, truth.labels[object_of], setting)

    target = jax.lax.stop_gradient(
        boxes.iou(predictions.boxes, box_of)
        if setting.quality_target == "iou"
        else boxes.centerness(scene.priors.boxes, box_of)
    )
    box_weight = {
        "quality": jnp.maximum(target, 1e-12),
        "uniform": jnp.ones_like(target),
        "target": assignment.target,
    }[setting.box_weighting]
    box = box_weight * (1 - boxes.giou(predictions.boxes, box_of))
    quality = quality_losses(predictions.quality_logit, target)
    return Sums(
        terms={
            "class": setting.class_weight * jnp.sum(classes * assignment.weight[:, None]),
            "box": setting.box_weight * masked.total(box, assignment.positive),
            "quality": setting.quality_weight * masked.total(quality, assignment.positive),
        },
        measures={
            "positives": jnp.sum(assignment.positive.astype(jnp.float32)),
            "target": masked.total(assignment.target, assignment.positive),
            "box_weight": masked.total(box_weight, assignment.positive),
        },
    )


def quality_losses(logit: Float[Array, " A"] | None, target: Float[Array, " A"]) -> Float[Array, " A"]:
    """Binary cross entropy of each prior's quality branch; 0 without one."""
    if logit is None:
        return jnp.zeros_like(target)
    return -(target * jax.nn.log_sigmoid(logit) + (1 - target) * jax.nn.log_sigmoid(-logit))


def class_losses(
    predictions: Predictions, assignment: Assignment, labels: Int[Array, " A"], setting: LossSetting
) -> Float[Array, "A C"]:
    """Class loss of each prior and class, not weighted yet.

    Args:
      predictions: of the priors.
      assignment: which priors are positive, and for quality focal loss with which targets.
      labels: class of each prior's object; whatever it is for a prior that is not positive.
      setting: which loss.
    """
    log_p, log_not_p = predictions.class_log_p, predictions.class_log_not_p
    present = assignment.positive[:, None] & (labels[:, None] == jnp.arange(log_p.shape[1])[None])
    if setting.class_loss == "quality_focal":
        return quality_focal(log_p, log_not_p, jnp.where(present, assignment.target[:, None], 0.0))
    return jnp.where(present, focal_positive(log_p, log_not_p), focal_negative(log_p, log_not_p))


def detection_divisors(measures: Scalars, n_images: Int[Array, ""], *, setting: LossSetting) -> Scalars:
    """Divisors of the terms of several images.

    N₊ for focal loss and the quality branch, the sum of the weights for the boxes; by class targets between 0 and 1
    their sum in place of either, at least 1 (assigners 7).

    Args:
      measures: summed over these images.
      n_images: how many of them are real.
      setting: which losses are divided.
    """
    positives, box_weight = measures["positives"], measures["box_weight"]
    by_target = jnp.maximum(measures["target"], 1.0)
    by_positives = jnp.maximum(jnp.maximum(positives, n_images.astype(jnp.float32)), 1.0)
    by_weight = jnp.where(box_weight > 0, box_weight, 1.0)
    return {
        "class": by_target if setting.class_loss == "quality_focal" else by_positives,
        "box": by_target if setting.box_weighting == "target" else by_weight,
        "quality": jnp.maximum(positives, 1.0),
    }
