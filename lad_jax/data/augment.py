"""Random augmentation of one training picture: mirror, part and scale, colours."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from lad_jax.data.canvases import Canvas
from lad_jax.data.colours import ColourMap, draw_colours
from lad_jax.data.options import DataOptions
from lad_jax.data.views import View, draw_crop, draw_scaled, whole_view

_CROP, _SCALED, _COLOURS = 1, 3, 4
"""Keys of the random streams of a picture's crop, scale and colours, beside the one of its flip; `plan` has others."""


class Augmentation(NamedTuple):
    """Augmentation of one picture."""

    view: View
    flip: bool = False
    colours: ColourMap | None = None


def draw_augmentation(
    original: Int[np.ndarray, "2"],
    options: DataOptions,
    *,
    canvas: Canvas,
    short_side: int,
    seed: int,
    step: int,
    row: int,
) -> Augmentation:
    """The augmentation of row `row` of training step `step`, a pure function of all arguments.

    Args:
      original: height and width of the picture before it is resized [pixels].
      canvas, short_side: those of the step's pictures [pixels].
    """

    def stream(*key: int) -> np.random.Generator:
        return np.random.default_rng((seed, step, row, *key))

    crop = stream(_CROP)
    if crop.random() < options.crop:
        view = draw_crop(original, options, crop, canvas=canvas, short_side=short_side)
    elif options.scales_pictures:
        view = draw_scaled(original, options, stream(_SCALED), short_side=short_side)
    else:
        view = whole_view(original, options, short_side=short_side)
    return Augmentation(
        view,
        flip=bool(stream().random() < options.flip),
        colours=draw_colours(options.colour_jitter, stream(_COLOURS)) if options.colour_jitter else None,
    )
