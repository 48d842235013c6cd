"""Random augmentation of one training picture: mirroring and cropping."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from lad_jax.data.options import DataOptions
from lad_jax.data.transforms import resized_hw

_CROP = 1
"""Key of the random stream of a picture's crop, beside the one of its flip."""


class Crop(NamedTuple):
    """A rectangle of a picture that has been resized. Heights and widths, y and x [pixels]."""

    resized: Int[np.ndarray, "2"]
    """Size of the whole picture."""
    corner: Int[np.ndarray, "2"]
    """Top left pixel of the crop."""
    hw: Int[np.ndarray, "2"]
    """Size of the crop."""


class Augmentation(NamedTuple):
    """Augmentation of one picture."""

    flip: bool
    crop: Crop | None


NO_AUGMENTATION = Augmentation(flip=False, crop=None)


def draw_augmentation(
    original: Int[np.ndarray, "2"], options: DataOptions, *, seed: int, step: int, row: int
) -> Augmentation:
    """The augmentation of row `row` of training step `step`, a pure function of all arguments.

    Args:
      original: height and width of the picture before it is resized [pixels].
    """
    flip = np.random.default_rng((seed, step, row)).random() < options.flip
    random = np.random.default_rng((seed, step, row, _CROP))
    cropped = random.random() < options.crop
    return Augmentation(bool(flip), draw_crop(original, options, random) if cropped else None)


def draw_crop(original: Int[np.ndarray, "2"], options: DataOptions, random: np.random.Generator) -> Crop:
    """Draw a crop: the picture at one of `crop_short_sides`, and a rectangle in it, its sides from `crop_range`.

    The picture bounds both ends of that range.

    Source: spec 9.3 (Swin's recipe).
    """
    short_side = int(random.choice(options.crop_short_sides))
    resized = resized_hw(original, short_side=short_side, long_side=options.long_side)
    low, high = (np.minimum(resized, bound) for bound in options.crop_range)
    hw = random.integers(low, high, endpoint=True)
    return Crop(resized, random.integers(resized - hw, endpoint=True), hw)
