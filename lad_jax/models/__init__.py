"""Networks (flax.linen)."""

from lad_jax.models.detector import Detector, ModelOptions
from lad_jax.models.resnet import ResNetOptions

__all__ = ["Detector", "ModelOptions", "ResNetOptions"]
