"""Pre-assignment by IoU: which priors may become responsible for which object (spec 3)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from lad_jax import boxes
from lad_jax.types import GroundTruth, Priors

ROWS = 8
"""Number of objects whose overlaps are calculated at a time."""


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

    def visit(state: Overlaps, visited: tuple[Int[Array, " R"], Float[Array, "R 4"], Bool[Array, " R"]]):
        largest, nearest, claimant = state
        index, box, is_object = visited
        overlap = jnp.where(priors.valid[None] & is_object[:, None], boxes.pairwise_iou(box, priors.boxes), -1.0)
        # Kept as it is, so that the largest is compared with the very numbers it was taken from.
        overlap = jax.lax.optimization_barrier(overlap)
        top, first = jnp.max(overlap, axis=0), index[jnp.argmax(overlap, axis=0)]
        best = jnp.max(overlap, axis=1, keepdims=True)
        last = jnp.max(jnp.where((overlap == best) & (best > 0), index[:, None], -1), axis=0)
        return Overlaps(
            iou=jnp.maximum(largest, top),
            nearest=jnp.where(top > largest, first, nearest),
            claimant=jnp.where(last >= 0, last, claimant),
        ), None

    # A few objects a turn: a GPU wants few, large kernels, but rows of A numbers stay in a CPU's cache, while whole
    # tables of [G, A] would not.
    nobody = jnp.full(len(priors.boxes), -1)
    start = Overlaps(jnp.full(nobody.shape, -1.0), nobody, nobody)
    objects = (jnp.arange(len(truth.labels)), truth.boxes, truth.objects)
    return jax.lax.scan(visit, start, jax.tree.map(_by_turn, objects))[0]


def _by_turn(x: Shaped[Array, "G ..."]) -> Shaped[Array, "_ R ..."]:
    """Objects, `ROWS` a turn, the last one filled up with zeros: none of them is an object."""
    rows = min(ROWS, len(x))
    filled = jnp.pad(x, ((0, -len(x) % rows), *[(0, 0)] * (x.ndim - 1)))
    return filled.reshape(-1, rows, *x.shape[1:])


def max_iou_candidates(priors: Priors, truth: GroundTruth, *, min_iou: float) -> Int[Array, " A"]:
    """`responsible` by the overlaps of priors and objects."""
    return responsible(overlaps(priors, truth), min_iou)


def responsible(found: Overlaps, min_iou: float) -> Int[Array, " A"]:
    """The one object that each prior may be made responsible for, -1 for none: its claimant, else the one it overlaps
    most, if that IoU is at least `min_iou`."""
    return jnp.where(found.claimant >= 0, found.claimant, jnp.where(found.iou >= min_iou, found.nearest, -1))
