"""Pre-assignment by IoU: which priors may become responsible for which object (spec 3)."""

import jax.numpy as jnp
from jaxtyping import Array, Int

from lad_jax import boxes
from lad_jax.types import GroundTruth, Priors


def max_iou_candidates(priors: Priors, truth: GroundTruth, *, min_iou: float) -> Int[Array, " A"]:
    """The one object that each prior may be made responsible for, -1 for none.

    A prior is a candidate of the object it overlaps most, if that IoU is at least `min_iou` (of equals, the first
    object). Besides, every object claims the priors that overlap it most of all (all of them, where several tie),
    however small that IoU, and of several claimants the last wins: so every object has a candidate.

    An object that overlaps no valid prior claims none; the reference would give it all of them.
    """
    overlap = boxes.pairwise_iou(truth.boxes, priors.boxes)
    overlap = jnp.where(truth.objects[:, None] & priors.valid, overlap, -1.0)

    nearest = jnp.where(jnp.max(overlap, axis=0) >= min_iou, jnp.argmax(overlap, axis=0), -1)
    best = jnp.max(overlap, axis=1, keepdims=True)
    claimed = (overlap == best) & (best > 0)
    last_claimant = jnp.max(jnp.where(claimed, jnp.arange(len(overlap))[:, None], -1), axis=0)
    return jnp.where(last_claimant >= 0, last_claimant, nearest)
