"""Pre-assignment by IoU: which priors may become responsible for which object (spec 3)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lad_jax import boxes
from lad_jax.types import GroundTruth, Priors


class Overlaps(NamedTuple):
    """Each prior's overlap with objects."""

    iou: Float[Array, " A"]
    """The largest IoU with an object, -1 where there is none or the prior is not valid."""
    nearest: Int[Array, " A"]
    """The object of that IoU, the first of equals; -1 for none."""
    claimant: Int[Array, " A"]
    """The last object that overlaps no prior more than this one; -1 for none."""


@jax.named_scope("candidates")
def overlaps(priors: Priors, truth: GroundTruth) -> Overlaps:
    """For each prior the object it overlaps most, and the object that claims it.

    Every object claims the priors that overlap it most of all (all of them, where several tie), however small that
    IoU, and of several claimants the last wins: so every object has a prior.

    An object that overlaps no valid prior claims none; the reference would give it all of them.
    """

    def visit(state: Overlaps, visited: tuple[Int[Array, ""], Float[Array, "4"], Bool[Array, ""]]):
        largest, nearest, claimant = state
        index, box, is_object = visited
        overlap = jnp.where(priors.valid & is_object, boxes.iou(box[None], priors.boxes), -1.0)
        # Kept as it is, so that the largest is compared with the very numbers it was taken from.
        overlap = jax.lax.optimization_barrier(overlap)
        nearest = jnp.where(overlap > largest, index, nearest)
        best = jnp.max(overlap)
        claimant = jnp.where((overlap == best) & (best > 0), index, claimant)
        return Overlaps(jnp.maximum(largest, overlap), nearest, claimant), None

    # One object after the other: a few rows of A numbers stay in the cache, tables of [G, A] would not.
    nobody = jnp.full(len(priors.boxes), -1)
    start = Overlaps(jnp.full(nobody.shape, -1.0), nobody, nobody)
    objects = (jnp.arange(len(truth.labels)), truth.boxes, truth.objects)
    return jax.lax.scan(visit, start, objects)[0]


def max_iou_candidates(priors: Priors, truth: GroundTruth, *, min_iou: float) -> Int[Array, " A"]:
    """The one object that each prior may be made responsible for, -1 for none.

    A prior is a candidate of its claimant, else of the object it overlaps most, if that IoU is at least `min_iou`.
    """
    found = overlaps(priors, truth)
    return jnp.where(found.claimant >= 0, found.claimant, jnp.where(found.iou >= min_iou, found.nearest, -1))
