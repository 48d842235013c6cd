"""Soft-label distillation: a teacher's predictions as targets (paper 3.1, spec 7.3)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lad_jax import boxes, masked
from lad_jax.fields import check_range
from lad_jax.losses.sums import Loss, Scalars, Sums
from lad_jax.types import Assignment, Predictions, Scene

BOUNDS = (1e-4, 0.9999)
"""Bounds of the probabilities of a head without logits, and of its targets."""

LogPair = tuple[Float[Array, "*S"], Float[Array, "*S"]]
"""A probability as the pair (ln p, ln(1-p))."""


@dataclass(frozen=True)
class SoftOptions:
    """Options of the soft loss: which of the teacher's predictions are targets, and their weights."""

    divergence: Literal["kl", "l1", "l2"] = "kl"
    """Divergence of class probabilities."""
    gamma: float = 0.5
    """Exponent of the focal factor |p_t - p_s|^γ of KL; 0: none."""
    class_weight: float = 2.0
    """Weight of the divergence of the class probabilities."""
    quality_weight: float = 10.0
    """Weight of the KL divergence of the IoU branches."""
    box_weight: float = 1.3
    """Weight of 1 - GIoU of the two networks' boxes."""
    min_iou: float = 0.5
    """IoU of the teacher's box with an object above which boxes and IoU branches are compared."""
    priors: Literal["valid", "all"] = "valid"
    """Priors whose class probabilities are compared: the valid ones, within the picture's extent, or all, also those in
    the canvas's padding, as in the released code."""

    def __post_init__(self) -> None:
        check_range(self, "gamma", "class_weight", "quality_weight", "box_weight", least=0)
        check_range(self, "min_iou", least=0, below=1)


def focal_kl(student: LogPair, teacher: LogPair, gamma: float) -> Float[Array, "*S"]:
    """Focal Kullback-Leibler divergence of two Bernoulli distributions (eq. 1 of the paper).

    ((t - p)² + 1e-6)^(γ/2) · (t ln(t/p) + (1-t) ln((1-t)/(1-p)))

    The factor is differentiated too.
    """
    (log_p, log_not_p), (log_t, log_not_t) = student, teacher
    t = jnp.exp(log_t)
    divergence = t * (log_t - log_p) + (1 - t) * (log_not_t - log_not_p)
    return ((t - jnp.exp(log_p)) ** 2 + 1e-6) ** (gamma / 2) * divergence


def absolute(student: LogPair, teacher: LogPair) -> Float[Array, "*S"]:
    """|t - p|"""
    return jnp.abs(jnp.exp(teacher[0]) - jnp.exp(student[0]))


def squared(student: LogPair, teacher: LogPair) -> Float[Array, "*S"]:
    """(t - p)²"""
    return (jnp.exp(teacher[0]) - jnp.exp(student[0])) ** 2


def make_soft(options: SoftOptions, *, bounded: bool) -> Loss:
    """The loss on a teacher's predictions; see `soft_sums`."""
    return Loss(partial(soft_sums, options=options, bounded=bounded), soft_divisors)


def soft_sums(
    student: Predictions,
    teacher: Predictions,
    assignment: Assignment,
    scene: Scene,
    *,
    options: SoftOptions,
    bounded: bool,
) -> Sums:
    """Divergence of a student's predictions for one image from its teacher's.

    Terms `soft_class`, `soft_box`, `soft_quality`. Measure `overlap`: the sum of q over the boxes that are compared.

    Classes at every prior of `options.priors`. Boxes, clipped to the image, and IoU branches where q > min_iou, q being
    the largest IoU of the teacher's box with an object; boxes weighted by q.

    Args:
      student, teacher: on the same priors. No gradient reaches the teacher.
      assignment: not used.
      scene: of the image.
      options: weights, and which predictions are compared.
      bounded: whether class probabilities are kept within `BOUNDS`, for a student whose head has no logits.
    """
    teacher, (priors, truth, image_hw, _) = jax.lax.stop_gradient(teacher), scene
    ours, theirs = ((p.class_log_p, p.class_log_not_p) for p in (student, teacher))
    if bounded:
        ours, theirs = _bounded(ours), _bounded(theirs)
    counted = priors.valid if options.priors == "valid" else jnp.full_like(priors.valid, jnp.any(priors.valid))
    divergences: dict[str, Callable[[LogPair, LogPair], Any]] = {
        "kl": partial(focal_kl, gamma=options.gamma),
        "l1": absolute,
        "l2": squared,
    }

    limit = image_hw.astype(jnp.float32)
    student_boxes, teacher_boxes = boxes.clip(student.boxes, limit), boxes.clip(teacher.boxes, limit)
    overlap = jnp.where(truth.objects, boxes.pairwise_iou(teacher_boxes, truth.boxes), 0.0)
    q = jnp.max(overlap, axis=1, initial=0.0)
    near = priors.valid & (q > options.min_iou)
    quality = jnp.zeros_like(q)
    if student.quality_logit is not None and teacher.quality_logit is not None:
        quality = focal_kl(_logs(student.quality_logit), _logs(teacher.quality_logit), options.gamma)
    divergence = jnp.sum(divergences[options.divergence](ours, theirs), axis=1)
    return Sums(
        terms={
            "soft_class": options.class_weight * masked.total(divergence, counted),
            "soft_box": options.box_weight * masked.total(q * (1 - boxes.giou(student_boxes, teacher_boxes)), near),
            "soft_quality": options.quality_weight * masked.total(quality, near),
        },
        measures={"overlap": masked.total(q, near)},
    )


def _bounded(pair: LogPair) -> LogPair:
    """A probability, as a pair, limited to `BOUNDS`."""
    low, high = (math.log(bound) for bound in BOUNDS)
    log_p, log_not_p = pair
    return jnp.clip(log_p, low, high), jnp.clip(log_not_p, low, high)


def _logs(logit: Float[Array, "*S"]) -> LogPair:
    return jax.nn.log_sigmoid(logit), jax.nn.log_sigmoid(-logit)


def soft_divisors(measures: Scalars, n_images: Int[Array, ""]) -> Scalars:
    """Divisors of the terms of several images: the sum of IoUs.

    Where no box of the teacher comes near an object this sum is 0, and the reference divides by it; here the number
    of images takes its place.

    Args:
      measures: summed over these images.
      n_images: how many of them are real.
    """
    divisor = jnp.where(measures["overlap"] > 0, measures["overlap"], jnp.maximum(n_images.astype(jnp.float32), 1.0))
    return {"soft_class": divisor, "soft_box": divisor, "soft_quality": divisor}
