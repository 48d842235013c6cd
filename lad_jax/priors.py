"""Anchors: one square for each cell of each pyramid level, computed in numpy while tracing (spec 2.1 and 2.2)."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from lad_jax.rounding import ceil_div, round_up
from lad_jax.types import Levels, Priors

PAD_MULTIPLE = 32
"""Multiple to which a picture's size is rounded up to its extent [pixels]: the backbone's stride."""


def make_levels(canvas_hw: tuple[int, int], strides: tuple[int, ...]) -> Levels:
    """The grids of a pyramid: ceil(canvas / stride) cells a side.

    Args:
      canvas_hw: height and width of the padded canvas [pixels].
      strides: side of a cell, level by level [pixels].
    """
    height, width = canvas_hw
    return Levels(tuple(strides), tuple((ceil_div(height, stride), ceil_div(width, stride)) for stride in strides))


def make_priors(canvas_hw: tuple[int, int], strides: tuple[int, ...], scale: float) -> Priors:
    """The anchors of a canvas, all valid.

    Cell (i, j) of a level carries a square of side scale·stride centred at (j·stride, i·stride): the cell's top
    left corner, as in the reference (`center_offset=0`).

    Args:
      canvas_hw: height and width of the padded canvas [pixels].
      strides: side of a cell, level by level [pixels].
      scale: anchor side in strides (8 in the paper).
    """
    levels = make_levels(canvas_hw, strides)
    half = scale * np.asarray(strides)[levels.of_prior, None] / 2
    boxes: Any = np.concatenate([levels.corners - half, levels.corners + half], axis=1).astype(np.float32)
    valid: Any = np.ones(len(boxes), bool)
    return Priors(boxes, valid, levels)


def valid_extent(image_hw: Int[Array, "*B 2"]) -> Int[Array, "*B 2"]:
    """Height and width of the smallest canvas that a picture fits on [pixels]."""
    return round_up(image_hw, PAD_MULTIPLE)


def within(priors: Priors, image_hw: Int[Array, "2"]) -> Priors:
    """The priors with `valid` cleared where the cell starts beyond the image's extent."""
    extent = valid_extent(jnp.asarray(image_hw))
    return priors._replace(valid=jnp.all(jnp.asarray(priors.levels.corners) < extent[None, ::-1], axis=1))
