"""The bag loss of FreeAnchor, which is also MAL as released: no assignment, priors compete inside the loss.

Source: assigners 9.2 and 11, in plain coordinates.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lad_jax import boxes, masked
from lad_jax.fields import check_range
from lad_jax.losses.sums import Loss, Scalars, Sums
from lad_jax.types import Assignment, Predictions, Scene

SHARE = 0.5
"""Weight of each of the two terms."""
BETA = 0.11
"""Difference of deltas up to which the smooth L1 distance is quadratic."""


@dataclass(frozen=True)
class FreeAnchorOptions:
    """Options of the bag loss."""

    bag_size: int = 50
    """Number of priors in an object's bag: those of largest IoU with it. Released MAL has 40 for R50 and R101."""
    box_weight: float = 0.75
    """Weight of the smooth L1 distance between deltas in a prior's probability of a right box."""
    min_iou: float = 0.6
    """IoU of a predicted box with an object above which its prior counts less as background for the object's class."""

    def __post_init__(self) -> None:
        check_range(self, "bag_size", least=1)
        check_range(self, "box_weight", least=0)
        check_range(self, "min_iou", least=0, below=1)


class Bags(NamedTuple):
    """The priors that compete for each object."""

    prior: Int[Array, "G n"]
    kept: Bool[Array, "G n"]
    """False where fewer valid priors than n are there, and throughout for a row that is no object."""


def make_bag(options: FreeAnchorOptions) -> Loss:
    """The loss of an image's bags; see `sums_of_bags`."""

    def sums(predictions: Predictions, teacher: Predictions | None, assignment: Assignment, scene: Scene) -> Sums:
        return sums_of_bags(predictions, scene, nearest_priors(scene, options.bag_size), options)

    return Loss(sums, partial(bag_divisors, bag_size=options.bag_size))


def nearest_priors(scene: Scene, n: int) -> Bags:
    """The n valid priors of largest IoU with each object, however small that is; of equals the first."""
    priors, truth = scene.priors, scene.truth
    overlap = jnp.where(priors.valid[None], boxes.pairwise_iou(truth.boxes, priors.boxes), -1.0)
    largest, prior = jax.lax.top_k(overlap, min(n, len(priors.valid)))
    return Bags(prior, truth.objects[:, None] & (largest >= 0))


def sums_of_bags(predictions: Predictions, scene: Scene, bags: Bags, options: FreeAnchorOptions) -> Sums:
    """Losses of the objects by their bags, and of all priors as background.

    bag_positive = ½ Σ_g -ln bag_g                          (`log_bags`)
    bag_negative = ½ Σ_a Σ_c -r² ln(1 - r),    r = p_ac (1 - P⁺_ac)      (`background_losses`)

    Measure `objects`: how many have a bag.
    """
    has_bag = jnp.any(bags.kept, axis=1)
    log_class, log_box = log_probabilities(predictions, scene, bags, options.box_weight)
    positive = -log_bags(log_class + log_box, bags.kept)

    fit = box_probabilities(predictions, scene, options.min_iou)
    negative = background_losses(predictions.class_log_p, predictions.class_log_not_p, fit)
    return Sums(
        terms={
            "bag_positive": SHARE * masked.total(positive, has_bag),
            "bag_negative": SHARE * masked.total(jnp.sum(negative, axis=1), scene.priors.valid),
        },
        measures={"objects": jnp.sum(has_bag.astype(jnp.float32))},
    )


def log_probabilities(
    predictions: Predictions, scene: Scene, bags: Bags, box_weight: float
) -> tuple[Float[Array, "G n"], Float[Array, "G n"]]:
    """Logarithms of the probabilities that a bag's priors have the object's class, and its box.

    P_class = p_ay,    P_box = exp(-box_weight · Σ_k H(delta_k - code_k)),    code: the object's deltas from the prior

    H is the smooth L1 distance. Of entries that are not kept the second is 1's logarithm, at deltas of 0.
    """
    anchors, kept = scene.priors.boxes[bags.prior], bags.kept[..., None]
    code = boxes.encode(anchors, jnp.where(kept, scene.truth.boxes[:, None], anchors))
    distance = smooth_l1(jnp.where(kept, predictions.box_deltas[bags.prior] - code, 0.0))
    log_class = predictions.class_log_p[bags.prior, scene.truth.labels[:, None]]
    return log_class, -box_weight * jnp.sum(distance, axis=-1)


def smooth_l1(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """H: z² / (2β) where |z| < β, else |z| - β/2."""
    z = jnp.abs(z)
    return jnp.where(z < BETA, z**2 / (2 * BETA), z - BETA / 2)


def log_bags(log_s: Float[Array, "G n"], kept: Bool[Array, "G n"]) -> Float[Array, " G"]:
    """Logarithm of the "mean-max" of each bag: ln Σ w s, by `log_weights`; meaningless for an empty bag.

    Args:
      log_s: logarithms of the probabilities s of the priors.
      kept: entries that count.
    """
    kept = kept | ~jnp.any(kept, axis=1, keepdims=True)  # an empty bag's gradient must not be NaN
    return jax.nn.logsumexp(log_weights(log_s, kept) + log_s, axis=1, where=kept)


def log_weights(log_s: Float[Array, "G n"], kept: Bool[Array, "G n"]) -> Float[Array, "G n"]:
    """Logarithms of the weights w = 1 / max(1 - s, 1e-12), normalised over each bag.

    They are nearly equal while all s are small, and go to the largest s as it nears 1: from the mean to the maximum.
    They carry gradient, but where the bound holds.
    """
    not_s = jnp.maximum(-jnp.expm1(log_s), 1e-12)
    return jax.nn.log_softmax(-jnp.log(not_s), axis=1, where=kept)


def box_probabilities(predictions: Predictions, scene: Scene, min_iou: float) -> Float[Array, "A C"]:
    """P⁺: how well a prior's box fits an object of each class, relative to the best fitting one; without gradient.

    P⁺_ac = max over objects g of class c of clip((I_ga - min_iou) / (max_a I_ga - min_iou), 0, 1),    I: the IoU

    0 for the objects that no predicted box overlaps by more than `min_iou`.
    """
    truth = scene.truth
    overlap = boxes.pairwise_iou(truth.boxes, jax.lax.stop_gradient(predictions.boxes))
    above = jnp.where(truth.objects[:, None] & scene.priors.valid[None], overlap - min_iou, 0.0)
    most = jnp.max(above, axis=1, keepdims=True)
    fit = jnp.where(most > 0, jnp.clip(above / jnp.where(most > 0, most, 1.0), 0.0, 1.0), 0.0)
    # Never an [A, G, C] tensor: the objects of a class are one segment. An empty one's maximum is -inf.
    by_class = jax.ops.segment_max(fit, truth.labels, predictions.class_log_p.shape[1])
    return jnp.maximum(by_class, 0.0).T


def background_losses(
    log_p: Float[Array, "A C"], log_not_p: Float[Array, "A C"], fit: Float[Array, "A C"]
) -> Float[Array, "A C"]:
    """Loss of each prior and class as background: -r² ln(1 - r), r = p (1 - fit)."""
    # 1 - r = (1 - p) + p fit: nothing is lost where p rounds to 1.
    log_not_r = jnp.logaddexp(log_not_p, log_p + jnp.log(fit))
    return -((jnp.exp(log_p) * (1 - fit)) ** 2) * log_not_r


def bag_divisors(measures: Scalars, n_images: Int[Array, ""], *, bag_size: int) -> Scalars:
    """Divisors of the terms of several images: the number of objects, and of priors in bags that they would fill.

    Args:
      measures: summed over these images.
      n_images: not used.
      bag_size: `FreeAnchorOptions.bag_size`.
    """
    objects = measures["objects"]
    return {"bag_positive": jnp.maximum(objects, 1.0), "bag_negative": jnp.maximum(bag_size * objects, 1.0)}
