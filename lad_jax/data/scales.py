"""Multi-scale training: the short sides that batches are drawn from, and a few canvases that hold them all."""

import numpy as np
from jaxtyping import Int

from lad_jax.data.canvases import Canvas, choose_canvases, smallest_canvas
from lad_jax.data.transforms import resized_hw
from lad_jax.rounding import round_up


def bucket_short_sides(short_sides: tuple[int, ...], *, at_most: int, pad_multiple: int) -> tuple[tuple[int, ...], ...]:
    """Ranges of short sides, at most `at_most`, with little padding of a square picture up to the end of its range.

    Args:
      short_sides: rising [pixels].
      pad_multiple: multiple of the canvases' sides [pixels]; sides that are padded to the same one stay together.
    """
    squares = np.stack([short_sides, short_sides], axis=1)
    tops = choose_canvases(squares, at_most=at_most, pad_multiple=pad_multiple)
    bucket = smallest_canvas(squares, tops)
    return tuple(tuple(np.array(short_sides)[bucket == number].tolist()) for number in range(len(tops)))


def lay_out(
    originals: Int[np.ndarray, "n 2"],
    buckets: tuple[tuple[int, ...], ...],
    *,
    long_side: int,
    canvases: int,
    pad_multiple: int,
) -> tuple[Int[np.ndarray, " n"], tuple[tuple[Canvas, ...], ...]]:
    """Groups of pictures that can share a batch at any scale, and a canvas for each group and bucket.

    The groups are those of the largest short side. A canvas holds every picture of its group at every short side of
    its bucket.

    Args:
      originals: height and width of the pictures before they are resized [pixels].
      buckets: ranges of short sides, rising [pixels].
      long_side: bound of the longer side [pixels].
      canvases: largest number of groups.
      pad_multiple: multiple of the canvases' sides [pixels].

    Returns:
      Each picture's group, and the canvases by group and bucket.
    """

    def at(short_side: int) -> Int[np.ndarray, "n 2"]:
        return resized_hw(originals, short_side=short_side, long_side=long_side)

    *smaller, largest = (at(bucket[-1]) for bucket in buckets)
    found = choose_canvases(largest, at_most=canvases, pad_multiple=pad_multiple)
    group = smallest_canvas(largest, found)
    layout = tuple(
        (*(_holding(sizes[group == number], pad_multiple) for sizes in smaller), canvas)
        for number, canvas in enumerate(found)
    )
    return group, layout


def padding_of(
    originals: Int[np.ndarray, "n 2"],
    group: Int[np.ndarray, " n"],
    buckets: tuple[tuple[int, ...], ...],
    layout: tuple[tuple[Canvas, ...], ...],
    *,
    long_side: int,
) -> float:
    """Share of the pixels of all canvases that is padding, 0…1, each picture at each short side once.

    Args:
      originals, buckets, long_side: see `lay_out`.
      group, layout: results of `lay_out`.
    """
    content = area = 0
    for bucket, canvases in zip(buckets, zip(*layout, strict=True), strict=True):
        area += len(bucket) * int(np.array(canvases)[group].prod(axis=1).sum())
        for side in bucket:
            content += int(resized_hw(originals, short_side=side, long_side=long_side).prod(axis=1).sum())
    return 1 - content / area


def _holding(sizes: Int[np.ndarray, "n 2"], pad_multiple: int) -> Canvas:
    """The smallest canvas that holds pictures of all sizes."""
    height, width = round_up(sizes.max(axis=0), pad_multiple).tolist()
    return height, width
