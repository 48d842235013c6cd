"""One-to-one assignment by the matching of least cost, as in DETR (Carion et al., 2020; Zhu et al., 2021)."""

from dataclasses import dataclass
from functools import partial

import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from lad_jax import boxes, masked
from lad_jax.assign import pairs
from lad_jax.assign.base import Assigner
from lad_jax.fields import check_range
from lad_jax.losses.focal import ALPHA
from lad_jax.types import Assignment, CostTable, Predictions, Scene

EPSILON = 1e-12
"""Added to a probability before its logarithm."""


@dataclass(frozen=True)
class HungarianOptions:
    """Options of the matching; the defaults are Deformable DETR's."""

    class_weight: float = 2.0
    """Weight of the focal loss of the object's class, less that of its absence."""
    l1_weight: float = 5.0
    """Weight of the L1 distance of the boxes' centres and sides, in shares of the picture's."""
    giou_weight: float = 2.0
    """Weight of -GIoU."""

    def __post_init__(self) -> None:
        check_range(self, "class_weight", "l1_weight", "giou_weight", least=0)


def make_hungarian(options: HungarianOptions) -> Assigner:
    """The two functions, closed over the options."""
    return Assigner(partial(cost, options=options), partition)


def cost(scene: Scene, predictions: Predictions, *, options: HungarianOptions) -> CostTable:
    """Cost of matching each object with each valid prior, without what it gains by being no background.

    cost = class_weight · f₊ + l1_weight · L1 + giou_weight · (1 - GIoU)

    Besides: `exact`, the cost that the matching minimises: cost - class_weight · f₋ - giou_weight. Compared are pairs
    whose point is inside the object.
    """
    log_p, log_not_p = (pairs.of_class(x, scene) for x in predictions[:2])
    present = -ALPHA * jnp.exp(2 * log_not_p) * jnp.log(jnp.exp(log_p) + EPSILON)
    absent = -(1 - ALPHA) * jnp.exp(2 * log_p) * jnp.log(jnp.exp(log_not_p) + EPSILON)
    giou = boxes.giou(scene.truth.boxes[:, None], predictions.boxes[None])
    distance = options.l1_weight * box_distance(scene, predictions)
    total = options.class_weight * present + distance + options.giou_weight * (1 - giou)
    exact = options.class_weight * (present - absent) + distance - options.giou_weight * giou
    return pairs.make_table(scene, total, compared=pairs.depth_in_box(scene) > 0, exact=exact)


def box_distance(scene: Scene, predictions: Predictions) -> Float[Array, "G A"]:
    """L1 distance of centre and sides of each object and each predicted box, in shares of the picture's sides."""
    hw = jnp.maximum(scene.image_hw, 1).astype(jnp.float32)
    ours, theirs = (_centre_and_size(x) / jnp.tile(hw[::-1], 2)[None] for x in (scene.truth.boxes, predictions.boxes))
    return sum((jnp.abs(a[:, None] - b[None]) for a, b in zip(ours.T, theirs.T, strict=True)), jnp.zeros((1, 1)))


def _centre_and_size(corners: Float[Array, "N 4"]) -> Float[Array, "N 4"]:
    return jnp.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1)


def partition(table: CostTable, scene: Scene) -> Assignment:
    """Every object gets one prior, so that the sum of costs is least; all others are background.

    Where there are more objects than priors, those that would cost most get none.
    """
    owner = match(table.besides["exact"], pairs.choosable(table))
    return pairs.make_assignment(scene, owner)


def match(cost: Float[Array, "G A"], allowed: Bool[Array, "G A"]) -> Int[Array, " A"]:
    """The object that each prior is matched with, -1 for none.

    Only each object's G cheapest priors are looked at, since some best matching has no other. G further columns are for
    objects that only pad, at no cost, and for those for which no prior is left.
    """
    n_objects, n_priors = cost.shape
    columns, first = _columns(cost, allowed)
    usable = allowed[:, columns] & first[None]
    lowest, highest = (
        jnp.min(cost, where=allowed, initial=masked.WORST),
        jnp.max(cost, where=allowed, initial=-masked.WORST),
    )
    # More than any matching can save, and no larger than need be: float32 is coarse beside large numbers.
    forbidden = 1 + n_objects * jnp.maximum(highest - lowest, 0.0)
    prior_costs = jnp.where(usable, cost[:, columns] - lowest, forbidden)
    is_object = jnp.any(allowed, axis=1)
    none_costs = jnp.broadcast_to(jnp.where(is_object, forbidden, 0.0)[:, None], (n_objects, n_objects))
    row, column = optax.assignment.hungarian_algorithm(jnp.concatenate([prior_costs, none_costs], axis=1))
    matched = (column < len(columns)) & usable[row, jnp.minimum(column, len(columns) - 1)]
    prior = jnp.where(matched, columns[jnp.minimum(column, len(columns) - 1)], n_priors)
    return jnp.full(n_priors, -1, jnp.int32).at[prior].set(row.astype(jnp.int32), mode="drop")


def _columns(cost: Float[Array, "G A"], allowed: Bool[Array, "G A"]) -> tuple[Int[Array, " K"], Bool[Array, " K"]]:
    """Priors among any object's G cheapest, and a mask: a prior that stands there twice counts once."""
    n_objects, n_priors = cost.shape
    if n_objects**2 >= n_priors:
        return jnp.arange(n_priors), jnp.ones(n_priors, bool)
    _, index = pairs.largest(jnp.where(allowed, -cost, -jnp.inf), n_objects)
    columns = jnp.sort(index.ravel())
    return columns, jnp.concatenate([jnp.ones(1, bool), columns[1:] != columns[:-1]])
