"""Numbers and sizes of a data set's pictures and objects, beside those of canvases and anchors. No pixel is read."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from lad_jax.data.canvases import Canvas, choose_canvases, padding_share, smallest_canvas
from lad_jax.data.options import DataOptions
from lad_jax.data.records import MIN_SIDE, Record
from lad_jax.data.transforms import resized_hw


class Spread(NamedTuple):
    """Smallest, median and largest of some numbers."""

    least: float
    median: float
    most: float


class Summary(NamedTuple):
    """Counts of one split. Objects are those that are trained on, without crowd regions and boxes that are left out."""

    pictures: int
    empty: int
    """Number of pictures without objects."""
    small: int
    """Number of pictures with a side below 32 pixels: not trained on."""
    per_class: Int[np.ndarray, " C"]
    """Number of objects of each class."""
    crowds: int
    per_picture: Spread
    """Number of objects of a picture."""
    width: Spread
    height: Spread
    """Height of the pictures [pixels]."""


class Canvases(NamedTuple):
    """Canvases of pictures, and their padding."""

    sizes: tuple[Canvas, ...]
    pictures: tuple[int, ...]
    """Number of pictures on each canvas."""
    padding: tuple[float, ...]
    """Share of padding in the pixels of each canvas, 0…1."""
    all_padding: float
    """Share of padding in the pixels of all pictures' canvases, 0…1."""


UNLIKE_IOU = 0.1
"""IoU below which an anchor is unlike an object, even one right at its centre: least of PAA's candidates."""


class AnchorFit(NamedTuple):
    """Numbers of objects by how their sizes fit those of anchors."""

    per_level: Int[np.ndarray, " L"]
    """Number of objects by the level whose anchor fits them best."""
    smaller: int
    """Number of objects smaller than the smallest anchor, by area."""
    larger: int
    """Number of objects larger than the largest anchor, by area."""
    unmatched: int
    """Number of objects that overlap no anchor enough, even one right at their centre."""


def spread(values: Sequence[int]) -> Spread:
    """Smallest, median and largest value; ValueError where there is none."""
    return Spread(float(min(values)), float(np.median(values)), float(max(values)))


def summarise(records: Sequence[Record], n_classes: int) -> Summary:
    """Count pictures and objects.

    Args:
      records: at least one.
      n_classes: C.
    """
    objects = [int((~record.crowd).sum()) for record in records]
    labels = np.concatenate([record.labels[~record.crowd] for record in records])
    return Summary(
        pictures=len(records),
        empty=objects.count(0),
        small=sum(min(record.width, record.height) < MIN_SIDE for record in records),
        per_class=np.bincount(labels, minlength=n_classes),
        crowds=sum(int(record.crowd.sum()) for record in records),
        per_picture=spread(objects),
        width=spread([record.width for record in records]),
        height=spread([record.height for record in records]),
    )


def resize_all(records: Sequence[Record], options: DataOptions) -> Int[np.ndarray, "n 2"]:
    """Height and width of every picture after it is resized [pixels]."""
    sizes = np.array([(record.height, record.width) for record in records])
    return resized_hw(sizes, short_side=options.short_side, long_side=options.long_side)


def object_sizes(records: Sequence[Record], options: DataOptions) -> Float[np.ndarray, "N 2"]:
    """Width and height of every object after its picture is resized [pixels]."""
    sizes = []
    for record, (height, width) in zip(records, resize_all(records, options), strict=True):
        boxes = record.boxes[~record.crowd].astype(np.float64)
        sizes.append((boxes[:, 2:] - boxes[:, :2]) * (width / record.width, height / record.height))
    return np.concatenate(sizes)


def fit_canvases(sizes: Int[np.ndarray, "n 2"], options: DataOptions) -> Canvases:
    """The canvases of pictures of these sizes, and their padding.

    Args:
      sizes: height and width of each picture, from `resize_all` [pixels].
    """
    canvases = choose_canvases(sizes, at_most=options.canvases, pad_multiple=options.pad_multiple)
    chosen = smallest_canvas(sizes, canvases)
    groups = [sizes[chosen == number] for number in range(len(canvases))]
    return Canvases(
        sizes=canvases,
        pictures=tuple(map(len, groups)),
        padding=tuple(padding_share(group, (canvas,)) for group, canvas in zip(groups, canvases, strict=True)),
        all_padding=padding_share(sizes, canvases),
    )


def fit_anchors(sizes: Float[np.ndarray, "N 2"], sides: Sequence[float]) -> AnchorFit:
    """Compare objects with anchors of the same centre: the largest IoU that an anchor of a level can have.

    Args:
      sizes: width and height of objects [pixels].
      sides: sides of the square anchors, level by level [pixels].
    """
    anchors = np.array(sides, np.float64)
    common = np.minimum(sizes[:, :1], anchors) * np.minimum(sizes[:, 1:], anchors)
    area = sizes.prod(axis=1)
    iou = common / (area[:, None] + anchors**2 - common)
    return AnchorFit(
        per_level=np.bincount(iou.argmax(axis=1), minlength=len(anchors)),
        smaller=int((area < anchors.min() ** 2).sum()),
        larger=int((area > anchors.max() ** 2).sum()),
        unmatched=int((iou.max(axis=1) < UNLIKE_IOU).sum()),
    )


def evenly(n: int, count: int) -> list[int]:
    """`count` of the numbers 0…n-1 at even distances; all of them where there are fewer."""
    return np.linspace(0, n - 1, min(n, count)).astype(int).tolist()
