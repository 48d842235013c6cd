"""Losses of one network (spec 6 and 7.3)."""

from lad_jax.losses.batch import LossOptions, detection_terms, soft_terms
from lad_jax.losses.detection import BoxWeighting
from lad_jax.losses.focal import focal_negative, focal_positive
from lad_jax.losses.soft import SoftOptions

__all__ = [
    "BoxWeighting",
    "LossOptions",
    "SoftOptions",
    "detection_terms",
    "focal_negative",
    "focal_positive",
    "soft_terms",
]
