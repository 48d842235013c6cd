"""The families of backbones, by the options that describe them."""

from collections.abc import Iterable
from typing import Any

from lad_jax.errors import InputError
from lad_jax.models import resnet
from lad_jax.models.resnet import ResNet, ResNetOptions
from lad_jax.models.swin import PATCH, Swin, SwinOptions

BACKBONES: dict[type, Any] = {ResNetOptions: ResNet, SwinOptions: Swin}
"""Modules `(options, first_level, dtype)` from normalised images to maps of levels `first_level` to 5, by options.

To add one: a file, and a row here.
"""


def is_frozen(path: tuple[str, ...], options: ResNetOptions | SwinOptions) -> bool:
    """Whether the backbone parameter at `path` is never trained."""
    return isinstance(options, ResNetOptions) and resnet.is_frozen(path, options.frozen_stages)


def check_canvases(canvases: Iterable[tuple[int, int]], options: ResNetOptions | SwinOptions, key: str) -> None:
    """Check that a Swin's finest map is as large as a window; coarser ones may be smaller: they are padded.

    Args:
      canvases: height and width of each [pixels].
      options: any backbone's.
      key: config key of the options, for messages.

    Raises:
      InputError: a canvas is too small.
    """
    if not isinstance(options, SwinOptions):
        return
    for height, width in canvases:
        if (side := options.window * PATCH) > min(height, width):
            raise InputError(
                f"{key}.window is {options.window}: attention windows of {side} pixels are larger than a canvas of "
                f"{height}x{width}. Take larger pictures, or a window of at most {min(height, width) // PATCH}."
            )
