"""The families of backbones, by the options that describe them."""

from typing import Any

from lad_jax.models import resnet
from lad_jax.models.resnet import ResNet, ResNetOptions
from lad_jax.models.swin import Swin, SwinOptions

BACKBONES: dict[type, Any] = {ResNetOptions: ResNet, SwinOptions: Swin}
"""Modules `(options, first_level, dtype)` that make normalised images the maps of levels `first_level` to 5.

Adding one is one file and one row here.
"""


def is_frozen(path: tuple[str, ...], options: ResNetOptions | SwinOptions) -> bool:
    """Whether the backbone parameter at `path` is never trained."""
    return isinstance(options, ResNetOptions) and resnet.is_frozen(path, options.frozen_stages)
