"""A few padded sizes for all pictures: each is one compiled program, and padding is wasted work."""

import numpy as np
from jaxtyping import Int

from lad_jax.rounding import round_up

Canvas = tuple[int, int]
"""Height and width [pixels]."""


def choose_canvases(sizes: Int[np.ndarray, "n 2"], *, at_most: int, pad_multiple: int) -> tuple[Canvas, ...]:
    """Few canvases, sides multiples of `pad_multiple`, that hold all pictures with little padding.

    Starts with one canvas per padded size and, while there are more than `at_most`, merges the two whose union
    adds the least area over all their pictures.

    Args:
      sizes: height and width of every picture after resizing [pixels].
    """
    canvases, counts = np.unique(round_up(sizes, pad_multiple), axis=0, return_counts=True)
    while len(canvases) > at_most:
        union = np.maximum(canvases[:, None], canvases[None])
        area = canvases.prod(axis=1) * counts
        added = union.prod(axis=-1) * (counts[:, None] + counts[None]) - area[:, None] - area[None]
        pairs = np.triu_indices(len(canvases), k=1)
        best = added[pairs].argmin()
        first, second = pairs[0][best], pairs[1][best]
        canvases[first] = union[first, second]
        counts[first] += counts[second]
        canvases, counts = np.delete(canvases, second, axis=0), np.delete(counts, second)
    # Two merges can end in the same size, and a canvas can lose its pictures to a smaller one.
    found = tuple((height, width) for height, width in np.unique(canvases, axis=0).tolist())
    return tuple(found[i] for i in np.unique(smallest_canvas(sizes, found)))


def canvases_of_any(*, short_side: int, long_side: int, pad_multiple: int) -> tuple[Canvas, ...]:
    """At most five canvases, one of which holds a picture of any shape after the resize to these bounds.

    A square, and for either longer side that of the longest pictures and one halfway: the shorter side is the same,
    since it is `short_side` for all but the longest.

    Args:
      short_side, long_side: bounds of the resize [pixels].
      pad_multiple: multiple of the canvases' sides [pixels].
    """
    short, *longer = round_up(np.array([short_side, (short_side + long_side) // 2, long_side]), pad_multiple).tolist()
    canvases = [(short, short), *((short, side) for side in longer), *((side, short) for side in longer)]
    return tuple(dict.fromkeys(canvases))


def smallest_canvas(sizes: Int[np.ndarray, "n 2"], canvases: tuple[Canvas, ...]) -> Int[np.ndarray, " n"]:
    """Index of the smallest canvas (by area) that holds each picture; every picture must fit one."""
    hw = np.array(canvases, np.int64).reshape(-1, 2)
    fits = np.all(sizes[:, None] <= hw[None], axis=-1)
    lost = ~np.any(fits, axis=1)
    if lost.any():
        raise ValueError(f"a picture of size {sizes[lost][0].tolist()} fits none of {canvases}")
    return np.where(fits, hw.prod(axis=1), np.iinfo(np.int64).max).argmin(axis=1)


def padding_share(sizes: Int[np.ndarray, "n 2"], canvases: tuple[Canvas, ...]) -> float:
    """Share of the pixels of all pictures' canvases that is padding, 0…1."""
    hw = np.array(canvases, np.int64)[smallest_canvas(sizes, canvases)]
    return float(1 - sizes.prod(axis=1).sum() / hw.prod(axis=1).sum())
