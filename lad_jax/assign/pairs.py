"""What dense assigners share: tables of [G, A] pairs of an object and a prior, and choices among their entries.

Never an array of [G, A, C]: of the classes a pair needs its object's alone, and sums over all classes are by prior.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lad_jax import boxes, masked
from lad_jax.rounding import ceil_div
from lad_jax.types import Assignment, CostTable, Predictions, Priors, Scene

BLOCK = 128
"""Number of priors in a block of `largest`."""
INSIDE = 0.01
"""Depth in a box from which on ATSS, OTA and TAL take a point to be inside [pixels]."""


# Geometry.


def points(priors: Priors) -> tuple[Float[Array, "1 A"], Float[Array, "1 A"]]:
    """x and y of the centres of the priors' boxes [pixels]."""
    x, y = (priors.boxes[:, :2] + priors.boxes[:, 2:]).T / 2
    return x[None], y[None]


def corners(scene: Scene) -> tuple[Float[Array, "G 1"], ...]:
    """x1, y1, x2 and y2 of the objects' boxes [pixels]."""
    return tuple(scene.truth.boxes.T[..., None])


def strides(priors: Priors) -> Float[Array, "1 A"]:
    """Stride of each prior's level [pixels]."""
    return jnp.asarray(priors.levels.strides, jnp.float32)[priors.levels.of_prior][None]


def depth_in_box(scene: Scene) -> Float[Array, "G A"]:
    """Distance of each prior's point to the nearest side of each object's box, positive inside [pixels]."""
    (x, y), (x1, y1, x2, y2) = points(scene.priors), corners(scene)
    return jnp.minimum(jnp.minimum(x - x1, x2 - x), jnp.minimum(y - y1, y2 - y))


def depth_in_window(scene: Scene, radius: float) -> Float[Array, "G A"]:
    """The same for a square around each object's centre that reaches `radius` strides of the prior's level."""
    dx, dy = from_centre(scene)
    return radius * strides(scene.priors) - jnp.maximum(jnp.abs(dx), jnp.abs(dy))


def from_centre(scene: Scene) -> tuple[Float[Array, "G A"], Float[Array, "G A"]]:
    """x and y of each prior's point, seen from each object's centre [pixels]."""
    (x, y), (x1, y1, x2, y2) = points(scene.priors), corners(scene)
    return x - (x1 + x2) / 2, y - (y1 + y2) / 2


# Tables.


def predicted_iou(scene: Scene, predictions: Predictions) -> Float[Array, "G A"]:
    """IoU of each object with the box predicted at each prior."""
    return boxes.pairwise_iou(scene.truth.boxes, predictions.boxes)


def of_class(values: Float[Array, "A C"], scene: Scene) -> Float[Array, "G A"]:
    """Each prior's value for the class of each object."""
    return values.T[scene.truth.labels]


def real_pairs(scene: Scene) -> Bool[Array, "G A"]:
    """Pairs of a real object and a valid prior."""
    return scene.truth.objects[:, None] & scene.priors.valid[None]


def make_table(
    scene: Scene,
    cost: Float[Array, "G A"],
    *,
    compared: Bool[Array, "G A"],
    eligible: Bool[Array, "#G A"] | None = None,
    **besides: Float[Array, "G A"],
) -> CostTable:
    """A dense table; of its entries only pairs of a real object and a valid prior count.

    Args:
      scene: the picture's.
      cost: as in `CostTable`, but for NaN and infinities.
      compared: entries that the switch compares.
      eligible: entries that may be chosen; None: all.
      besides: as in `CostTable`.
    """
    may_be_chosen = real_pairs(scene) if eligible is None else real_pairs(scene) & eligible
    objects = jnp.arange(len(scene.truth.labels), dtype=jnp.int32)[:, None]
    return CostTable(
        cost=jnp.maximum(masked.finite(cost), 0.0),  # below 0 by rounding only
        object=jnp.where(may_be_chosen, objects, -1),
        compared=may_be_chosen & compared,
        besides=besides,
    )


def choosable(table: CostTable) -> Bool[Array, "G A"]:
    """Entries that may be chosen and have a finite cost."""
    return (table.object >= 0) & masked.is_finite(table.cost)


# Choices.


def largest(values: Float[Array, "G A"], k: int) -> tuple[Float[Array, "G K"], Int[Array, "G K"]]:
    """The `k` largest values of each row and their indices, by falling value, of equals the first first.

    They lie in the `k` blocks with the largest maxima, so that only these are sorted: on a CPU and a GPU alike several
    times as fast as sorting a row of many priors. Rows of fewer than `k` values give all of theirs.
    """
    n_objects, n_priors = values.shape
    k = min(k, n_priors)
    if n_priors <= k * BLOCK:
        best, index = jax.lax.top_k(values, k)
        return best, index
    n_blocks = ceil_div(n_priors, BLOCK)
    padded = jnp.pad(values, ((0, 0), (0, n_blocks * BLOCK - n_priors)), constant_values=-jnp.inf)
    blocks = padded.reshape(n_objects, n_blocks, BLOCK)
    best_blocks = jnp.sort(jax.lax.top_k(jnp.max(blocks, axis=2), k)[1], axis=1)
    index = (best_blocks[..., None] * BLOCK + jnp.arange(BLOCK)[None, None]).reshape(n_objects, k * BLOCK)
    inside = jnp.take_along_axis(blocks, best_blocks[..., None], axis=1).reshape(n_objects, k * BLOCK)
    best, position = jax.lax.top_k(inside, k)
    return best, jnp.take_along_axis(index, position, axis=1)


def cheapest(
    cost: Float[Array, "G A"], allowed: Bool[Array, "G A"], count: Int[Array, " G"] | int, *, most: int
) -> Bool[Array, "G A"]:
    """The `count` cheapest allowed entries of each object, of equals the first.

    Args:
      cost: finite where `allowed`.
      allowed: entries that may be chosen.
      count: of each object, from 1 to `most`.
      most: largest number of entries that an object may choose.
    """
    negative = jnp.where(allowed, -cost, -jnp.inf)
    values, index = largest(negative, most)
    last = jnp.broadcast_to(jnp.minimum(count, values.shape[1]) - 1, (len(cost),))[:, None]
    value, prior = (jnp.take_along_axis(x, last, axis=1) for x in (values, index))
    up_to_last = (negative > value) | ((negative == value) & (jnp.arange(cost.shape[1])[None] <= prior))
    return up_to_last & allowed


def sum_of_largest(iou: Float[Array, "G A"], allowed: Bool[Array, "G A"], k: int) -> Float[Array, " G"]:
    """Sum of the `k` largest allowed IoUs of each object, of which fewer count where there are fewer."""
    return jnp.sum(largest(jnp.where(allowed, iou, 0.0), k)[0], axis=1)


def to_whole(iou_sum: Float[Array, " G"]) -> Int[Array, " G"]:
    """The dynamic k: max(1, ⌊sum of IoUs⌋)."""
    return jnp.maximum(jnp.floor(iou_sum).astype(jnp.int32), 1)


def preferred(chosen: Bool[Array, "G A"], preference: Float[Array, "G A"]) -> Int[Array, " A"]:
    """The object that each prior goes to: of those that chose it the most preferred, the first of equals; -1 none."""
    # Two plain reductions; an argmax over the rows takes several times as long on a CPU.
    value = jnp.where(chosen, preference, -jnp.inf)
    is_best = chosen & (value == jnp.max(value, axis=0, keepdims=True))
    objects = jnp.arange(len(chosen), dtype=jnp.int32)[:, None]
    first = jnp.min(jnp.where(is_best, objects, len(chosen)), axis=0)
    return jnp.where(first < len(chosen), first, -1)


def of_owner(values: Float[Array, "G A"], owner: Int[Array, " A"]) -> Float[Array, " A"]:
    """The entry of each prior's object, 0 for priors without one."""
    taken = jnp.take_along_axis(values, jnp.maximum(owner, 0)[None], axis=0)[0]
    return jnp.where(owner >= 0, taken, 0.0)


def make_assignment(
    scene: Scene,
    owner: Int[Array, " A"],
    target: Float[Array, " A"] | None = None,
    iterations: int | Int[Array, ""] = 0,
) -> Assignment:
    """An assignment in which every valid prior counts: positive for its object, or background.

    Args:
      scene: the picture's.
      owner: index of the object of each prior, -1 for background.
      target: as in `Assignment`; None: 1 for every positive.
      iterations: of the partition.
    """
    return Assignment(
        object=owner,
        weight=scene.priors.valid.astype(jnp.float32),
        target=(owner >= 0).astype(jnp.float32) if target is None else target,
        iterations=jnp.asarray(iterations, jnp.int32),
    )


# The partition by a dynamic k, which SimOTA and RTMDet's assigner share.


def dynamic_k_owner(
    table: CostTable, penalised: Float[Array, "G A"], iou_sum: Float[Array, " G"], *, most: int
) -> Int[Array, " A"]:
    """The object of each prior: each object chooses its k cheapest, and a contested prior goes to the cheapest.

    That may be an object that had not chosen it; the others do not choose anew.

    Args:
      table: its entries that may be chosen.
      penalised: costs with their penalties.
      iou_sum: sum of the largest IoUs of each object; k is its whole part, at least 1.
      most: largest k.
    """
    eligible = choosable(table)
    chosen = cheapest(penalised, eligible, to_whole(iou_sum), most=most)
    contested = jnp.sum(chosen, axis=0) > 1
    return jnp.where(contested, preferred(eligible, -penalised), preferred(chosen, -penalised))
