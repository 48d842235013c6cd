"""Exact class-wise non-maximum suppression and score voting with fixed sizes (spec 8.6 to 8.8)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lad_jax.boxes import iou, pairwise_iou

VOTE_SIGMA = 0.025
"""Width of the voting weight exp(-(1 - IoU)² / sigma)."""
VOTE_MIN_IOU = 0.01
"""Candidates that overlap less have no vote."""


class Picks(NamedTuple):
    """The (prior, class) pairs that survive, by falling score; rows past the last one are not `valid`."""

    priors: Int[Array, " D"]
    """Row of the candidate boxes, 0 where not valid."""
    classes: Int[Array, " D"]
    """-1 where not valid."""
    scores: Float[Array, " D"]
    """0 where not valid."""
    valid: Bool[Array, " D"]


def nms(boxes: Float[Array, "N 4"], scores: Float[Array, "N C"], *, iou_threshold: float, max_detections: int) -> Picks:
    """Greedy NMS within each class, then the best `max_detections` over all classes. Exact: no cap on candidates.

    `max_detections` times: take the best (prior, class) left, remove every box of that class with
    IoU > threshold to it. This equals "greedy NMS of each class, then the best D of all": what is suppressed in a
    class depends on that class alone, and the picks of all classes appear by falling score, so the first D of them
    are the D best. Of equal scores the lower class, then the lower prior comes first.

    A pick touches one class only, so the best score of each class is carried along and a step costs N + C, not
    N·C. The number of steps is fixed: under `vmap` a loop that ends early would copy the whole score table of the
    finished rows in every step, which costs more than the steps it saves.

    Args:
      boxes: candidate boxes, shared by the classes [pixels].
      scores: -inf where a (prior, class) pair is no candidate.
      iou_threshold: an overlap must be strictly larger to suppress.
      max_detections: D.

    Source: spec 8.6, 8.7.
    """

    def pick(state, _):
        left, best = state
        label = jnp.argmax(best)
        row = left[label]
        prior = jnp.argmax(row)
        # A box without area overlaps nothing, itself included: what was picked is removed by name.
        gone = (iou(boxes[prior][None], boxes) > iou_threshold).at[prior].set(True)
        remaining = jnp.where(gone, -jnp.inf, row)
        state = left.at[label].set(remaining), best.at[label].set(remaining.max())
        return state, (prior, label, row[prior])

    by_class = scores.T
    start = by_class, by_class.max(axis=1)
    _, (priors, classes, picked) = jax.lax.scan(pick, start, length=max_detections)
    valid = picked > -jnp.inf
    return Picks(
        priors=jnp.where(valid, priors, 0),
        classes=jnp.where(valid, classes, -1),
        scores=jnp.where(valid, picked, 0.0),
        valid=valid,
    )


def vote(
    kept: Float[Array, "D 4"], classes: Int[Array, " D"], boxes: Float[Array, "N 4"], scores: Float[Array, "N C"]
) -> Float[Array, "D 4"]:
    """Each kept box as the weighted mean of all candidates of its class that overlap it.

    weight_i = S_i · exp(-(1 - IoU_i)² / 0.025) for IoU_i > 0.01. A kept box without area overlaps nothing, not even
    itself, and stays as it is.

    Args:
      kept: the boxes that survived NMS [pixels].
      classes: their classes.
      boxes: all candidates before NMS [pixels].
      scores: their scores, -inf where a (prior, class) pair is no candidate.

    Source: spec 8.8.
    """
    overlap = pairwise_iou(kept, boxes)
    score = scores.T[classes]
    votes = (overlap > VOTE_MIN_IOU) & (score > -jnp.inf)
    weight = jnp.where(votes, score * jnp.exp(-jnp.square(1 - overlap) / VOTE_SIGMA), 0.0)
    total = weight.sum(axis=1, keepdims=True)
    # Full float32: accelerators multiply with about 10 bits by default, up to a pixel of error in a coordinate.
    mean = jnp.matmul(weight, boxes, precision=jax.lax.Precision.HIGHEST) / jnp.where(total > 0, total, 1.0)
    return jnp.where(total > 0, mean, kept)
