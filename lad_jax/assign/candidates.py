"""Pre-assignment by IoU: which priors may become responsible for which object (spec 3)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lad_jax import boxes
from lad_jax.types import GroundTruth, Priors


@jax.named_scope("candidates")
def max_iou_candidates(priors: Priors, truth: GroundTruth, *, min_iou: float) -> Int[Array, " A"]:
    """The one object that each prior may be made responsible for, -1 for none.

    A prior is a candidate of the object it overlaps most, if that IoU is at least `min_iou` (of equals, the first
    object). Besides, every object claims the priors that overlap it most of all (all of them, where several tie),
    however small that IoU, and of several claimants the last wins: so every object has a candidate.

    An object that overlaps no valid prior claims none; the reference would give it all of them.
    """

    def visit(state: tuple[Array, ...], visited: tuple[Int[Array, ""], Float[Array, "4"], Bool[Array, ""]]):
        largest, nearest, claimant = state
        index, box, is_object = visited
        overlap = jnp.where(priors.valid & is_object, boxes.iou(box[None], priors.boxes), -1.0)
        # Kept as it is, so that the largest is compared with the very numbers it was taken from.
        overlap = jax.lax.optimization_barrier(overlap)
        nearest = jnp.where(overlap > largest, index, nearest)
        best = jnp.max(overlap)
        claimant = jnp.where((overlap == best) & (best > 0), index, claimant)
        return (jnp.maximum(largest, overlap), nearest, claimant), None

    # One object after the other: a few rows of A numbers stay in the cache, tables of [G, A] would not.
    nobody = jnp.full(len(priors.boxes), -1)
    start = (jnp.full(nobody.shape, -1.0), nobody, nobody)
    objects = (jnp.arange(len(truth.labels)), truth.boxes, truth.objects)
    (largest, nearest, claimant), _ = jax.lax.scan(visit, start, objects)
    return jnp.where(claimant >= 0, claimant, jnp.where(largest >= min_iou, nearest, -1))
