"""Anchors: one square per cell of each pyramid level. numpy, computed while tracing, static (spec 2.1 and 2.2)."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from lad_jax.types import Priors

PAD_MULTIPLE = 32
"""A picture's own extent is its size rounded up to a multiple of this [pixels]: the backbone's stride."""


def level_shapes(canvas_hw: tuple[int, int], strides: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Rows and columns of each pyramid level: ceil(canvas / stride)."""
    height, width = canvas_hw
    return tuple((-(-height // stride), -(-width // stride)) for stride in strides)


def level_sizes(canvas_hw: tuple[int, int], strides: tuple[int, ...]) -> tuple[int, ...]:
    """Number of priors of each pyramid level."""
    return tuple(rows * columns for rows, columns in level_shapes(canvas_hw, strides))


def make_priors(canvas_hw: tuple[int, int], strides: tuple[int, ...], scale: float) -> Priors:
    """The anchors of a canvas, all valid.

    Cell (i, j) of a level carries a square of side scale·stride centred at (j·stride, i·stride): the cell's top
    left corner, as in the reference (`center_offset=0`).

    Args:
      canvas_hw: height and width of the padded canvas [pixels].
      strides: pixels per cell, level by level.
      scale: anchor side in strides (8 in the paper).
    """
    boxes, levels = [], []
    for level, ((rows, columns), stride) in enumerate(zip(level_shapes(canvas_hw, strides), strides, strict=True)):
        y, x = np.mgrid[:rows, :columns].reshape(2, -1) * stride
        half = scale * stride / 2
        boxes.append(np.stack([x - half, y - half, x + half, y + half], axis=1))
        levels.append(np.full(rows * columns, level))
    arrays: list[Any] = [
        np.concatenate(boxes).astype(np.float32),
        np.concatenate(levels).astype(np.int32),
        np.ones(sum(map(len, boxes)), bool),
    ]
    return Priors(*arrays)


def own_extent(image_hw: Int[Array, "*B 2"]) -> Int[Array, "*B 2"]:
    """Height and width of the smallest canvas that a picture fits on [pixels]."""
    return -(-image_hw // PAD_MULTIPLE) * PAD_MULTIPLE


def within(priors: Priors, image_hw: Int[Array, "2"]) -> Priors:
    """The priors with `valid` cleared where the cell starts beyond the image's own extent.

    Anchors are centred on their cell's corner, so the cell starts at the anchor's centre.
    """
    height, width = own_extent(jnp.asarray(image_hw))
    corner = (priors.boxes[:, :2] + priors.boxes[:, 2:]) / 2
    return priors._replace(valid=jnp.asarray((corner[:, 0] < width) & (corner[:, 1] < height)))
