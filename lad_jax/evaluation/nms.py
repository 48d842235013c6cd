"""Exact class-wise non-maximum suppression and score voting with fixed sizes (spec 8.6 to 8.8)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lad_jax.boxes import pairwise_iou

VOTE_SIGMA = 0.025
"""Width of the voting weight exp(-(1 - IoU)² / sigma)."""
VOTE_MIN_IOU = 0.01
"""Candidates that overlap less have no vote."""


BLOCK = 512
"""Number of pairs of a prior and a class that are visited at a time."""
AT_ONCE = 4
"""Number of turns between two looks at whether the kept pairs still change: on a GPU a look waits for the host."""


class Picks(NamedTuple):
    """The (prior, class) pairs that survive, by falling score; rows past the last one are not `valid`."""

    priors: Int[Array, " D"]
    """Row of the candidate boxes, 0 where not valid."""
    classes: Int[Array, " D"]
    """-1 where not valid."""
    scores: Float[Array, " D"]
    """0 where not valid."""
    valid: Bool[Array, " D"]


class _Pairs(NamedTuple):
    """Pairs of a prior and a class, by falling score; -inf where there is none."""

    prior: Int[Array, " P"]
    label: Int[Array, " P"]
    score: Float[Array, " P"]


@jax.named_scope("nms")
def nms(boxes: Float[Array, "N 4"], scores: Float[Array, "N C"], *, iou_threshold: float, max_detections: int) -> Picks:
    """Greedy NMS within each class, then the best `max_detections` over all classes. Exact: no cap on candidates.

    Greedy NMS keeps a pair of prior and class unless one that is kept before it, of the same class, overlaps it by more
    than the threshold. What is suppressed in a class depends on that class alone, so the best D of all classes are the
    first D that are kept when pairs are visited by falling score. They are visited in blocks of `BLOCK`; a further one
    only while fewer than D are kept. Of equal scores the lower class, then the lower prior comes first.

    Args:
      boxes: candidate boxes, shared by the classes [pixels].
      scores: -inf where a (prior, class) pair is no candidate.
      iou_threshold: an overlap must be strictly larger to suppress.
      max_detections: D.

    Source: spec 8.6, 8.7.
    """
    block = min(BLOCK, scores.size)
    earlier = jnp.arange(block)[:, None] < jnp.arange(block)[None]

    def hits(these: _Pairs, those: _Pairs) -> Bool[Array, "P Q"]:
        overlap = pairwise_iou(boxes[these.prior], boxes[those.prior])
        return (these.label[:, None] == those.label[None]) & (overlap > iou_threshold)

    def visit(state):
        left, kept, count = state
        score, place = jax.lax.top_k(left, block)
        pairs = _Pairs(place % len(boxes), place // len(boxes), score)
        hit = hits(kept, pairs) & (kept.score > -jnp.inf)[:, None]
        stays = _unsuppressed((score > -jnp.inf) & ~jnp.any(hit, axis=0), hits(pairs, pairs) & earlier)
        slot = jnp.where(stays, count + jnp.cumsum(stays) - 1, max_detections)
        kept = jax.tree.map(lambda to, x: to.at[slot].set(x, mode="drop"), kept, pairs)
        return left.at[place].set(-jnp.inf), kept, count + jnp.sum(stays)

    def unfinished(state):
        left, _, count = state
        return (count < max_detections) & jnp.any(left > -jnp.inf)

    nothing = jnp.zeros(max_detections, jnp.int32)
    start = _Pairs(nothing, nothing, jnp.full(max_detections, -jnp.inf))
    _, kept, _ = jax.lax.while_loop(unfinished, visit, (scores.T.reshape(-1), start, jnp.array(0)))
    valid = kept.score > -jnp.inf
    return Picks(
        priors=jnp.where(valid, kept.prior, 0),
        classes=jnp.where(valid, kept.label, -1),
        scores=jnp.where(valid, kept.score, 0.0),
        valid=valid,
    )


def _unsuppressed(alive: Bool[Array, " P"], hit: Bool[Array, "P P"]) -> Bool[Array, " P"]:
    """The pairs of a block that greedy NMS keeps: those that are alive and that no kept one hits.

    This sentence, applied to all pairs at once and again to its result, settles at least the first pair that is not yet
    settled, so it ends in the one set of which it is true. Mostly after a few turns: as many as the longest chain of
    pairs that suppress each other.

    Args:
      alive: pairs that nothing outside of the block suppresses.
      hit: entry p q: whether p, which comes before q, suppresses it if it is kept.
    """

    def turn(state):
        before, _ = state
        for _ in range(AT_ONCE):
            last, before = before, alive & ~jnp.any(hit & before[:, None], axis=0)
        return before, last

    def changes(state):
        kept, last = state
        return jnp.any(kept != last)

    return jax.lax.while_loop(changes, turn, (alive, ~alive))[0]


@jax.named_scope("voting")
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
