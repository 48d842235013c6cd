"""Geometric transforms of pictures and their boxes: resize, cut, flip and clip."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from lad_jax.data.canvases import Canvas


def resized_hw(hw: Int[np.ndarray, "*n 2"], *, short_side: int, long_side: int) -> Int[np.ndarray, "*n 2"]:
    """Sizes after the resize that keeps the ratio: int(side · factor + 0.5).

    factor = min(long_side / longer edge, short_side / shorter edge): the largest size within both bounds.

    Args:
      hw: height and width of one or more pictures [pixels].

    Source: spec 9.1.
    """
    return _scaled(hw, _factor(hw, short_side, long_side))


def fitted_hw(hw: Int[np.ndarray, "2"], canvas: Canvas, *, short_side: int, long_side: int) -> Int[np.ndarray, "2"]:
    """The size after the resize of `resized_hw`, or where `canvas` does not hold that, the largest that it holds."""
    return _scaled(hw, np.minimum(_factor(hw, short_side, long_side), (np.array(canvas) / hw).min(keepdims=True)))


def _factor(hw: Int[np.ndarray, "*n 2"], short_side: int, long_side: int) -> Float[np.ndarray, "*n 1"]:
    return np.minimum(long_side / hw.max(axis=-1, keepdims=True), short_side / hw.min(axis=-1, keepdims=True))


def _scaled(hw: Int[np.ndarray, "*n 2"], factor: Float[np.ndarray, "*n 1"]) -> Int[np.ndarray, "*n 2"]:
    return np.maximum((hw * factor + 0.5).astype(np.int64), 1)


def reduction(hw: Int[np.ndarray, "2"], shown: Int[np.ndarray, "2"]) -> int:
    """The largest of 8, 4 and 2 that divides both sides of a picture and leaves it no smaller than it is shown, or 1.

    A JPEG is decoded at such a fraction of its size by means of its cells, each point where it belongs; of sides that
    it does not divide, the last cell would be cut, and stretch the others.

    Args:
      hw: height and width of the picture [pixels].
      shown: height and width that it is resized to [pixels].
    """
    return next((factor for factor in (8, 4, 2) if not (hw % factor).any() and (hw >= factor * shown).all()), 1)


def resize(picture: UInt8[np.ndarray, "h w 3"], hw: Int[np.ndarray, "2"]) -> UInt8[np.ndarray, "H W 3"]:
    """The picture at height and width `hw`, bilinear; itself, where it is of that size."""
    height, width = hw.tolist()
    if picture.shape[:2] == (height, width):
        return picture
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)


def cut(
    picture: UInt8[np.ndarray, "H W 3"], corner: Int[np.ndarray, "2"], hw: Int[np.ndarray, "2"]
) -> UInt8[np.ndarray, "h w 3"]:
    """The rectangle of height and width `hw` whose top left pixel is `corner` (y, x)."""
    (top, left), (bottom, right) = corner.tolist(), (corner + hw).tolist()
    return picture[top:bottom, left:right]


def flip_picture(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """The mirror image, left and right exchanged."""
    # A copy: a view with a negative stride takes several times as long to be copied from.
    return cv2.flip(picture, 1)


def flip_boxes(boxes: Float[np.ndarray, "n 4"], width: int) -> Float[np.ndarray, "n 4"]:
    """The boxes of the mirror image of a picture `width` pixels wide: x -> width - x."""
    x1, y1, x2, y2 = boxes.T
    return np.stack([width - x2, y1, width - x1, y2], axis=1)


def clip_boxes(boxes: Float[np.ndarray, "n 4"], hw: Int[np.ndarray, "2"]) -> Float[np.ndarray, "n 4"]:
    """The boxes limited to a picture of size `hw`."""
    return np.clip(boxes, 0, np.tile(hw[::-1], 2)).astype(boxes.dtype)


def has_area(boxes: Float[np.ndarray, "n 4"]) -> Bool[np.ndarray, " n"]:
    """Mask of the boxes with a width and a height above 0."""
    return (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
