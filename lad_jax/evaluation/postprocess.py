"""Postprocessing: detections in the original picture from the predictions of one image (spec 8)."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lad_jax.boxes import clip
from lad_jax.evaluation.matched import MOST
from lad_jax.evaluation.nms import nms, vote
from lad_jax.fields import check_range
from lad_jax.types import Detections, Predictions


@dataclasses.dataclass(frozen=True)
class PostprocessOptions:
    """Options of the way from predictions to detections; the defaults are the paper's."""

    pre_nms: int = 1000
    """Priors kept of each pyramid level."""
    score_threshold: float = 0.05
    """Lower bound of the score S of a detection."""
    nms_iou: float = 0.6
    """IoU with a better box of its class above which a box is left out."""
    max_detections: int = 100
    """Detections kept of each picture. Above 100 the metrics count as many, where COCO's count 100 (its maxDets)."""
    voting: bool = True
    """Whether each box that is kept becomes a mean of the boxes around it."""

    def __post_init__(self) -> None:
        check_range(self, "pre_nms", "max_detections", least=1)
        check_range(self, "score_threshold", "nms_iou", least=0, most=1)

    @property
    def counted(self) -> int:
        """Detections of each picture that metrics count."""
        return max(MOST, self.max_detections)


@jax.named_scope("postprocess")
def postprocess(
    predictions: Predictions,
    valid: Bool[Array, " A"],
    image_hw: Int[Array, "2"],
    scale: Float[Array, "2"],
    *,
    level_sizes: tuple[int, ...],
    options: PostprocessOptions,
) -> Detections:
    """Detections of one image, in pixels of the original picture, by falling score.

    S = sqrt(p·u), with p the class probability and u the predicted IoU, or p where the head predicts no IoU. Of each
    level the priors with the best S stay, whatever they score; their boxes are clipped to the image and taken to the
    original picture; then threshold, NMS, the best `max_detections`, and voting over all that passed the threshold. A
    score or box that is no number detects nothing.

    Args:
      predictions: with the boxes decoded, not clipped.
      valid: the priors that may detect: those within the picture's extent.
      image_hw: height and width of the content of the canvas [pixels].
      scale: resized / original, for x and y.
      level_sizes: number of priors of each level, in the order of `predictions`.
      options: thresholds and sizes.

    Returns:
      `max_detections` rows; those not `valid` have box and score 0 and class -1.

    Raises:
      ValueError: `level_sizes` does not add up to the number of priors.

    Source: spec 8.
    """
    log_score = predictions.class_log_p
    if predictions.quality_logit is not None:
        log_score = (log_score + jax.nn.log_sigmoid(predictions.quality_logit)[:, None]) / 2
    log_score = jnp.where(valid[:, None], log_score, -jnp.inf)
    kept = _best_of_each_level(log_score.max(axis=1), level_sizes, options.pre_nms)

    boxes = clip(predictions.boxes[kept], image_hw.astype(jnp.float32)) / jnp.tile(scale, 2)[None]
    finite = jnp.isfinite(boxes).all(axis=1, keepdims=True)
    boxes = jnp.where(finite, boxes, 0.0)  # not a number times a weight of 0 would spoil all votes
    scores = jnp.exp(log_score[kept])
    scores = jnp.where(finite & (scores > options.score_threshold), scores, -jnp.inf)

    picks = nms(boxes, scores, iou_threshold=options.nms_iou, max_detections=options.max_detections)
    detected = boxes[picks.priors]
    if options.voting:
        detected = vote(detected, picks.classes, boxes, scores)
    return Detections(
        boxes=jnp.where(picks.valid[:, None], detected, 0.0),
        scores=picks.scores,
        classes=picks.classes,
        valid=picks.valid,
    )


def _best_of_each_level(value: Float[Array, " A"], level_sizes: tuple[int, ...], count: int) -> Int[Array, " N"]:
    """Indices of the `count` largest values of each level; all of a level that has no more."""
    if sum(level_sizes) != len(value):
        raise ValueError(f"levels of {level_sizes} priors do not add up to the {len(value)} predicted ones")
    indices, start = [], 0
    for size in level_sizes:
        _, best = jax.lax.top_k(value[start : start + size], min(count, size))
        indices.append(start + best)
        start += size
    return jnp.concatenate(indices)
