"""Losses of one network (spec 6 and 7.3)."""

from lad_jax.losses.batch import LossOptions, detection_terms, soft_terms
from lad_jax.losses.detection import BoxWeighting, detection_divisors, detection_sums
from lad_jax.losses.focal import focal_negative, focal_positive
from lad_jax.losses.soft import SoftOptions, soft_divisors, soft_sums
from lad_jax.losses.sums import PerImage, Sums, divisors_by_image, total

DIVISORS = {"detection": detection_divisors, "soft": soft_divisors}
"""Of each kind of loss."""

__all__ = [
    "DIVISORS",
    "BoxWeighting",
    "LossOptions",
    "PerImage",
    "SoftOptions",
    "Sums",
    "detection_sums",
    "detection_terms",
    "divisors_by_image",
    "focal_negative",
    "focal_positive",
    "soft_sums",
    "soft_terms",
    "total",
]
