"""A sheet of pictures with their annotated boxes."""

from collections.abc import Sequence

import numpy as np

from lad_jax.commands.checking.summary import evenly
from lad_jax.commands.checking.suspects import Suspect
from lad_jax.data.records import DataSet
from lad_jax.data.transforms import resize, resized_hw
from lad_jax.visualize import Image, draw_boxes, pad_to, side_by_side, stack

SIDE = 400
"""Longer side of a picture on the sheet [pixels]."""
ROW = 4
"""Number of pictures in a row."""


def choose_pictures(n: int, suspects: Sequence[Suspect], count: int) -> list[int]:
    """Positions of pictures to draw: the first with a suspicious box of each kind, then some at even distances.

    Args:
      n: number of pictures.
      suspects: suspicious boxes in them.
      count: number of positions; fewer where there are not as many pictures.
    """
    firsts = {suspect.reason: suspect.position for suspect in reversed(suspects)}
    chosen = list(dict.fromkeys(reversed(firsts.values())))[:count]
    rest = [position for position in range(n) if position not in chosen]
    return chosen + [rest[i] for i in evenly(len(rest), count - len(chosen))]


def draw_sheet(dataset: DataSet, positions: Sequence[int]) -> Image:
    """Pictures in rows, with boxes and class names, under their file names; crowd regions are not drawn."""
    tiles = [_draw(dataset, position) for position in positions]
    names = [dataset.records[position].file_name for position in positions]
    rows = [slice(start, start + ROW) for start in range(0, len(tiles), ROW)]
    return stack([side_by_side(tiles[row], names[row]) for row in rows])


def _draw(dataset: DataSet, position: int) -> Image:
    record = dataset.records[position]
    original = np.array([record.height, record.width])
    hw = resized_hw(original, short_side=SIDE, long_side=SIDE)
    boxes = (record.boxes * np.tile((hw / original)[::-1], 2)).astype(np.float32)[~record.crowd]
    picture = resize(dataset.read(position), hw)
    drawing = draw_boxes(picture, boxes, record.labels[~record.crowd], None, dataset.class_names)
    return pad_to(drawing, *np.maximum(drawing.shape[:2], SIDE // 4).tolist())  # room for the name of a thin one
