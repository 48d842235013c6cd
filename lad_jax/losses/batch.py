"""The losses of a batch of one network."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax
from jaxtyping import Array, Bool, Int

from lad_jax.fields import check_range
from lad_jax.losses.detection import BoxWeighting, detection_divisors, detection_sums
from lad_jax.losses.soft import SoftOptions, soft_divisors, soft_sums
from lad_jax.losses.sums import Scalars, divisors_by_image, total
from lad_jax.types import Assignment, GroundTruth, Predictions, Priors


@dataclass(frozen=True)
class LossOptions:
    """Where the references differ about the losses."""

    box_weighting: Literal["method", "iou", "uniform"] = "method"
    """How much each positive's box loss counts: by its IoU with the object, or all alike. `method`: as released, by
    IoU for PAA with an IoU branch, else alike."""
    normaliser_pictures: int = 0
    """Losses are divided by sums over this many consecutive pictures of the batch and then averaged, as where each
    device normalises for itself; 0: by sums over the whole batch."""

    def __post_init__(self) -> None:
        check_range(self, "normaliser_pictures", least=0)


def detection_terms(
    predictions: Predictions,
    assignment: Assignment,
    truth: GroundTruth,
    valid: Bool[Array, " B"],
    *,
    box_weighting: BoxWeighting,
    pictures: int = 0,
) -> Scalars:
    """The weighted terms `class`, `box` and `quality` of one network's detection loss.

    Args:
      predictions, assignment, truth: with a leading batch axis.
      valid: which images are real.
      box_weighting: see `detection_sums`.
      pictures: `LossOptions.normaliser_pictures`.
    """
    sums = jax.vmap(partial(detection_sums, box_weighting=box_weighting))(predictions, assignment, truth)
    return total(sums, divisors_by_image(detection_divisors, sums, valid, pictures))


def soft_terms(
    student: Predictions,
    teacher: Predictions,
    priors: Priors,
    truth: GroundTruth,
    image_hw: Int[Array, "B 2"],
    valid: Bool[Array, " B"],
    *,
    options: SoftOptions,
    bounded: bool = False,
    pictures: int = 0,
) -> Scalars:
    """The weighted terms `soft_class`, `soft_box` and `soft_quality` of one network's soft-label loss.

    Args:
      student, teacher, priors, truth, image_hw: see `soft_sums`; with a leading batch axis.
      valid: which images are real.
      options, bounded: see `soft_sums`.
      pictures: `LossOptions.normaliser_pictures`.
    """
    per_image = partial(soft_sums, options=options, bounded=bounded)
    sums = jax.vmap(per_image)(student, teacher, priors, truth, image_hw)
    return total(sums, divisors_by_image(soft_divisors, sums, valid, pictures))
