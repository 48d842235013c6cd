"""The detection loss of one network, given an assignment (spec 6)."""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from lad_jax import boxes, masked
from lad_jax.losses.focal import focal_negative, focal_positive
from lad_jax.losses.sums import Loss, Scalars, Sums
from lad_jax.types import Assignment, Predictions, Scene

CLASS_WEIGHT, BOX_WEIGHT, QUALITY_WEIGHT = 1.0, 1.3, 0.5

BoxWeighting = Literal["iou", "uniform"]
"""Weight of a positive's box loss: `iou`, its IoU with the object (PAA); `uniform`, 1 (the LAD family)."""


def make_detection(box_weighting: BoxWeighting) -> Loss:
    """The loss of a network's predictions on the assignment."""
    return Loss(partial(detection_sums, box_weighting=box_weighting), detection_divisors)


def detection_sums(
    predictions: Predictions,
    teacher: Predictions | None,
    assignment: Assignment,
    scene: Scene,
    *,
    box_weighting: BoxWeighting,
) -> Sums:
    """Focal loss of all priors; GIoU loss and quality (IoU prediction) loss of the positives (spec 6.1 and 6.3).

    Terms `class`, `box` and `quality`; without an IoU branch the last is 0. Measures: `positives`, their number N₊, and
    `box_weight`, the sum of the weights that the box losses were given.

    The quality's target, and PAA's weight of a box, is the IoU of the predicted box with the object, without
    gradient. The teacher's predictions are not used. Source: paper section 3, spec 6.
    """
    truth = scene.truth
    object_of = jnp.maximum(assignment.object, 0)
    target = truth.boxes[object_of]
    log_p, log_not_p = predictions.class_log_p, predictions.class_log_not_p
    present = assignment.positive[:, None] & (truth.labels[object_of][:, None] == jnp.arange(log_p.shape[1])[None])
    focal = jnp.where(present, focal_positive(log_p, log_not_p), focal_negative(log_p, log_not_p))

    iou = jax.lax.stop_gradient(boxes.iou(predictions.boxes, target))
    box_weight = jnp.maximum(iou, 1e-12) if box_weighting == "iou" else jnp.ones_like(iou)
    quality = jnp.zeros_like(iou)
    if (logit := predictions.quality_logit) is not None:
        quality = -(iou * jax.nn.log_sigmoid(logit) + (1 - iou) * jax.nn.log_sigmoid(-logit))
    box = box_weight * (1 - boxes.giou(predictions.boxes, target))
    return Sums(
        terms={
            "class": CLASS_WEIGHT * jnp.sum(focal * assignment.weight[:, None]),
            "box": BOX_WEIGHT * masked.total(box, assignment.positive),
            "quality": QUALITY_WEIGHT * masked.total(quality, assignment.positive),
        },
        measures={
            "positives": jnp.sum(assignment.positive.astype(jnp.float32)),
            "box_weight": masked.total(box_weight, assignment.positive),
        },
    )


def detection_divisors(measures: Scalars, n_images: Int[Array, ""]) -> Scalars:
    """Divisors of the terms of several images.

    Args:
      measures: summed over these images.
      n_images: how many of them are real.
    """
    positives, box_weight = measures["positives"], measures["box_weight"]
    return {
        "class": jnp.maximum(jnp.maximum(positives, n_images.astype(jnp.float32)), 1.0),
        "box": jnp.where(box_weight > 0, box_weight, 1.0),
        "quality": jnp.maximum(positives, 1.0),
    }
