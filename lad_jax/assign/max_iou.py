"""Assignment by thresholds on IoU: RetinaNet's (Lin et al., 2017)."""

from dataclasses import dataclass
from functools import partial

import jax.numpy as jnp

from lad_jax import boxes
from lad_jax.assign.base import Assigner
from lad_jax.assign.candidates import overlaps, responsible
from lad_jax.assign.pairs import make_assignment
from lad_jax.fields import check_range
from lad_jax.types import Assignment, CostTable, Predictions, Scene


@dataclass(frozen=True)
class MaxIoUOptions:
    """Options of the assignment by IoU; the defaults are RetinaNet's."""

    positive_iou: float = 0.5
    """A prior that overlaps an object this much is positive."""
    negative_iou: float = 0.4
    """A prior that overlaps no object this much is background; those between the two are ignored."""

    def __post_init__(self) -> None:
        check_range(self, "positive_iou", "negative_iou", least=0, most=1)
        if self.negative_iou > self.positive_iou:
            raise ValueError(f"negative_iou is {self.negative_iou}, above positive_iou ({self.positive_iou})")


def make_max_iou(options: MaxIoUOptions) -> Assigner:
    """The two functions, closed over the options."""
    return Assigner(partial(cost, options=options), partial(partition, options=options), static=True)


def cost(scene: Scene, predictions: Predictions, *, options: MaxIoUOptions) -> CostTable:
    """1 - IoU of each prior with its object, the one that claims it or else the one it overlaps most.

    Predictions do not enter. Besides: `iou`, the largest with any object, and `claimed`, 1 where the object claims the
    prior since no other overlaps it more.
    """
    found = overlaps(scene.priors, scene.truth)
    candidate = responsible(found, options.negative_iou)
    return CostTable(
        cost=1 - boxes.iou(scene.priors.boxes, scene.truth.boxes[jnp.maximum(candidate, 0)]),
        object=candidate,
        compared=candidate >= 0,
        besides={"iou": found.iou, "claimed": (found.claimant >= 0).astype(jnp.float32)},
    )


def partition(table: CostTable, scene: Scene, *, options: MaxIoUOptions) -> Assignment:
    """Positive are claimed priors and those of an IoU of at least `positive_iou`; the other candidates are ignored."""
    candidate = table.object >= 0
    positive = candidate & ((table.besides["claimed"] > 0) | (table.besides["iou"] >= options.positive_iou))
    assignment = make_assignment(scene, jnp.where(positive, table.object, -1))
    return assignment._replace(weight=jnp.where(candidate & ~positive, 0.0, assignment.weight))
