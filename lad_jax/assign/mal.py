"""Multiple anchor learning, as its paper tells it: from all candidates to the best (Ke et al., 2020).

What its authors released is no assignment but a loss: method `free_anchor`. So the number of positives and the fate of
the others are our reading of the paper, and the cost is made of the released loss's parts.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lad_jax import boxes, masked
from lad_jax.assign.base import Assigner
from lad_jax.assign.candidates import max_iou_candidates
from lad_jax.assign.pairs import make_assignment
from lad_jax.fields import check_range
from lad_jax.losses.bag import smooth_l1
from lad_jax.types import Assignment, CostTable, Predictions, Scene


@dataclass(frozen=True)
class MALOptions:
    """Options of multiple anchor learning."""

    bag_iou: float = 0.5
    """A prior that overlaps an object this much is in its bag."""
    box_weight: float = 0.75
    """Weight of the box term beside -ln p."""
    rest: Literal["background", "ignored"] = "background"
    """Fate of a bag's priors that are not positive."""

    def __post_init__(self) -> None:
        check_range(self, "bag_iou", least=0, most=1)
        check_range(self, "box_weight", least=0)


def make_mal(options: MALOptions) -> Assigner:
    """The two functions, closed over the options."""
    return Assigner(partial(cost, options=options), partial(partition, options=options))


def cost(scene: Scene, predictions: Predictions, *, options: MALOptions) -> CostTable:
    """-ln of each prior's score for the object whose bag it is in: cost = -ln p + box_weight · Σ_k H(δ_k - code_k).

    H is smooth L1, and code the deltas that would lead to the object's box.
    """
    truth = scene.truth
    bag = max_iou_candidates(scene.priors, truth, min_iou=options.bag_iou)
    object_of = jnp.maximum(bag, 0)
    log_p = jnp.take_along_axis(predictions.class_log_p, truth.labels[object_of][:, None], axis=1)[:, 0]
    code = boxes.encode(scene.priors.boxes, truth.boxes[object_of])
    distance = jnp.sum(smooth_l1(predictions.box_deltas - code), axis=1)
    return CostTable(masked.finite(-log_p + options.box_weight * distance), bag, compared=bag >= 0, besides={})


def partition(table: CostTable, scene: Scene, *, options: MALOptions) -> Assignment:
    """The cheapest ⌊n(1 - t)⌋ + 1 of a bag of n are positive, t being the share of the training that is over."""
    n_objects = len(scene.truth.labels)
    bag = jnp.where((table.object >= 0) & masked.is_finite(table.cost), table.object, n_objects)
    size = jax.ops.segment_sum(jnp.ones(bag.shape), bag, n_objects + 1)
    count = jnp.minimum(size, jnp.floor(size * (1 - scene.progress)) + 1)
    positive = (bag < n_objects) & (_rank(bag, table.cost, size) < count[bag])
    assignment = make_assignment(scene, jnp.where(positive, table.object, -1))
    if options.rest == "ignored":
        rest = (table.object >= 0) & ~positive
        assignment = assignment._replace(weight=jnp.where(rest, 0.0, assignment.weight))
    return assignment


def _rank(bag: Int[Array, " A"], cost: Float[Array, " A"], size: Float[Array, " N"]) -> Float[Array, " A"]:
    """Number of cheaper priors of the same bag; of equals the first is the cheapest."""
    prior = jnp.arange(len(bag))
    sorted_bag, _, order = jax.lax.sort((bag, cost, prior), num_keys=2, is_stable=True)
    first = jnp.cumsum(size) - size
    return jnp.zeros(len(bag)).at[order].set(prior.astype(jnp.float32) - first[sorted_bag])
