"""Resize, flip and clip: pictures and their boxes together."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8


def resized_hw(hw: Int[np.ndarray, "*n 2"], *, short_side: int, long_side: int) -> Int[np.ndarray, "*n 2"]:
    """Sizes after the resize that keeps the ratio: int(side · factor + 0.5).

    factor = min(long_side / longer edge, short_side / shorter edge): the largest size within both bounds.

    Args:
      hw: height and width of one or more pictures [pixels].

    Source: spec 9.1.
    """
    factor = np.minimum(long_side / hw.max(axis=-1), short_side / hw.min(axis=-1))
    return np.maximum((hw * factor[..., None] + 0.5).astype(np.int64), 1)


def resize(picture: UInt8[np.ndarray, "h w 3"], hw: Int[np.ndarray, "2"]) -> UInt8[np.ndarray, "H W 3"]:
    """The picture at height and width `hw`, bilinear."""
    height, width = hw.tolist()
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)


def flip_picture(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """The mirror image, left and right exchanged."""
    return picture[:, ::-1]


def flip_boxes(boxes: Float[np.ndarray, "n 4"], width: int) -> Float[np.ndarray, "n 4"]:
    """The boxes of the mirror image of a picture `width` pixels wide: x -> width - x."""
    x1, y1, x2, y2 = boxes.T
    return np.stack([width - x2, y1, width - x1, y2], axis=1)


def clip_boxes(boxes: Float[np.ndarray, "n 4"], hw: Int[np.ndarray, "2"]) -> Float[np.ndarray, "n 4"]:
    """The boxes limited to a picture of size `hw`."""
    return np.clip(boxes, 0, np.tile(hw[::-1], 2)).astype(boxes.dtype)


def has_area(boxes: Float[np.ndarray, "n 4"]) -> Bool[np.ndarray, " n"]:
    """Which boxes have a width and a height above 0."""
    return (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
