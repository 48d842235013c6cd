"""The detection loss of one network, given an assignment (spec 6)."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lad_jax import boxes, masked
from lad_jax.losses.focal import focal_negative, focal_positive
from lad_jax.types import Assignment, GroundTruth, Predictions

CLASS_WEIGHT, BOX_WEIGHT, QUALITY_WEIGHT = 1.0, 1.3, 0.5

BoxWeighting = Literal["iou", "uniform"]
"""`iou`: a positive's box loss counts by its own IoU with the object (PAA). `uniform`: all alike (the LAD family)."""


class LossSums(NamedTuple):
    """Unnormalised sums over one image's priors."""

    class_: Float[Array, ""]
    box: Float[Array, ""]
    quality: Float[Array, ""]
    positives: Float[Array, ""]
    """Number of positives N₊."""
    box_weight: Float[Array, ""]
    """Sum of the weights that the box losses were given."""


def image_sums(
    predictions: Predictions, assignment: Assignment, truth: GroundTruth, *, box_weighting: BoxWeighting
) -> LossSums:
    """Focal loss of all priors; GIoU loss and quality (IoU prediction) loss of the positives (spec 6.1 and 6.3).

    Without an IoU branch the quality loss is 0.
    The quality's target, and PAA's weight of a box, is the IoU of the predicted box with the object, without
    gradient. Source: paper section 3, spec 6.
    """
    object_of = jnp.maximum(assignment.object, 0)
    target = truth.boxes[object_of]
    log_p, log_not_p = predictions.class_log_p, predictions.class_log_not_p
    present = assignment.positive[:, None] & (truth.labels[object_of][:, None] == jnp.arange(log_p.shape[1]))
    focal = jnp.where(present, focal_positive(log_p, log_not_p), focal_negative(log_p, log_not_p))

    iou = jax.lax.stop_gradient(boxes.iou(predictions.boxes, target))
    box_weight = jnp.maximum(iou, 1e-12) if box_weighting == "iou" else jnp.ones_like(iou)
    quality = jnp.zeros_like(iou)
    if (logit := predictions.quality_logit) is not None:
        quality = -(iou * jax.nn.log_sigmoid(logit) + (1 - iou) * jax.nn.log_sigmoid(-logit))
    return LossSums(
        class_=jnp.sum(focal * assignment.weight[:, None]),
        box=masked.total(box_weight * (1 - boxes.giou(predictions.boxes, target)), assignment.positive),
        quality=masked.total(quality, assignment.positive),
        positives=jnp.sum(assignment.positive.astype(jnp.float32)),
        box_weight=masked.total(box_weight, assignment.positive),
    )


def normalise(sums: LossSums, n_images: Int[Array, ""]) -> dict[str, Float[Array, ""]]:
    """The weighted losses of a batch from its images' sums, each divided by a sum over the whole batch.

    Args:
      sums: with a leading batch axis.
      n_images: number of real images of the batch.

    Returns:
      `class`, `box` and `quality`. Without positives the last two are 0.
    """
    total = jax.tree.map(lambda x: jnp.sum(x, axis=0), sums)
    positives = jnp.maximum(total.positives, 1.0)
    return {
        "class": CLASS_WEIGHT * total.class_ / jnp.maximum(jnp.maximum(total.positives, n_images), 1.0),
        "box": BOX_WEIGHT * total.box / jnp.where(total.box_weight > 0, total.box_weight, 1.0),
        "quality": QUALITY_WEIGHT * total.quality / positives,
    }
