"""Networks (flax.linen)."""

from lad_jax.models.detector import Detector, ModelOptions
from lad_jax.models.resnet import ResNetOptions
from lad_jax.models.swin import SWIN, SwinOptions

__all__ = ["SWIN", "Detector", "ModelOptions", "ResNetOptions", "SwinOptions"]
