"""The part of a picture that a training or validation picture shows, and how large: whole, cropped or enlarged."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from lad_jax.data.canvases import Canvas
from lad_jax.data.options import DataOptions
from lad_jax.data.transforms import cut, fitted_hw, resize, resized_hw


class View(NamedTuple):
    """The whole picture is resized, a part of it is cut out, and this is resized once more.

    Heights and widths, y and x [pixels].
    """

    resized: Int[np.ndarray, "2"]
    """Size of the whole picture after the first resize."""
    corner: Int[np.ndarray, "2"]
    """Top left pixel of the part."""
    part: Int[np.ndarray, "2"]
    """Size of the part."""
    hw: Int[np.ndarray, "2"]
    """Size of the part after the second resize."""

    def scale(self, original: Int[np.ndarray, "2"]) -> Float[np.ndarray, "2"]:
        """Ratio shown / original, for y and x."""
        return self.resized / original * self.hw / self.part

    @property
    def offset(self) -> Float[np.ndarray, "2"]:
        """Distance that the part's corner lies from the picture's, y and x [pixels that are shown]."""
        return self.corner * self.hw / self.part

    def of(self, picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "H W 3"]:
        """What the view shows of a picture."""
        return resize(cut(resize(picture, self.resized), self.corner, self.part), self.hw)


def whole_view(original: Int[np.ndarray, "2"], options: DataOptions, *, short_side: int) -> View:
    """The whole picture, resized to `short_side` and `options.long_side`."""
    hw = resized_hw(original, short_side=short_side, long_side=options.long_side)
    return View(hw, np.zeros(2, np.int64), hw, hw)


def draw_crop(
    original: Int[np.ndarray, "2"],
    options: DataOptions,
    random: np.random.Generator,
    *,
    canvas: Canvas,
    short_side: int,
) -> View:
    """Draw a crop: the picture at one of `crop_short_sides`, and a rectangle in it, its sides from `crop_range`.

    The picture bounds both ends of that range. The rectangle is then resized as whole pictures are, but to no more than
    the canvas, since it is of another shape than the pictures that the canvas is for.

    Source: spec 9.3 (Swin's recipe).
    """
    side = int(random.choice(options.crop_short_sides))
    resized = resized_hw(original, short_side=side, long_side=options.long_side)
    low, high = (np.minimum(resized, bound) for bound in options.crop_range)
    part = random.integers(low, high, endpoint=True)
    corner = random.integers(resized - part, endpoint=True)
    return View(resized, corner, part, fitted_hw(part, canvas, short_side=short_side, long_side=options.long_side))


def draw_scaled(
    original: Int[np.ndarray, "2"], options: DataOptions, random: np.random.Generator, *, short_side: int
) -> View:
    """Draw a factor of the whole picture's size, its logarithm evenly within `scale_jitter`.

    A smaller picture leaves more of the canvas empty; of a larger one a part of the size of the whole is shown, at any
    place (the large-scale jitter of Ghiasi et al., 2021).
    """
    hw = whole_view(original, options, short_side=short_side).hw
    factor = np.exp(random.uniform(*np.log(options.scale_jitter)))
    resized = np.maximum((hw * factor + 0.5).astype(np.int64), 1)
    part = np.minimum(resized, hw)
    return View(resized, random.integers(resized - part, endpoint=True), part, part)
