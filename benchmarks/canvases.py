"""Cost of few canvases on COCO: share of padding and number of programs, by the options that choose them.

    python -m benchmarks.canvases

Pictures are at most 1333 pixels long, on canvases whose sides are multiples of `data.pad_multiple`.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Int

from lad_jax.data import DataOptions
from lad_jax.data.scales import bucket_short_sides, lay_out, padding_of

SIZES = Path(__file__).with_name("coco_sizes.csv")
LONG_SIDE = 1333


def coco_sizes() -> Int[np.ndarray, "604 2"]:
    """Height and width of a sample of COCO's pictures [pixels]."""
    width, height, count = np.loadtxt(SIZES, int, delimiter=",").T
    return np.repeat(np.stack([height, width], axis=1), count, axis=0)


def cost(short_sides: tuple[int, ...], *, canvases: int, scale_buckets: int) -> tuple[float, int]:
    """Share of padding, 0…1, and number of programs."""
    originals, multiple = coco_sizes(), DataOptions().pad_multiple
    buckets = bucket_short_sides(short_sides, at_most=scale_buckets, pad_multiple=multiple)
    group, layout = lay_out(originals, buckets, long_side=LONG_SIDE, canvases=canvases, pad_multiple=multiple)
    share = padding_of(originals, group, buckets, layout, long_side=LONG_SIDE)
    return share, len({canvas for row in layout for canvas in row})


def main() -> None:
    print("Padding (programs), short side 800:\n\n| `data.canvases` | padding |\n|---|---|")
    for canvases in range(1, 11):
        share, programs = cost((800,), canvases=canvases, scale_buckets=1)
        print(f"| {canvases} | {100 * share:.1f} % ({programs}) |")
    buckets = range(1, 7)
    print("\nshort sides 640 to 800, by `data.scale_buckets`:\n")
    print(f"| `data.canvases` | {' | '.join(map(str, buckets))} |\n|{'---|' * (1 + len(buckets))}")
    for canvases in (4, 5, 6):
        row = [cost(tuple(range(640, 801)), canvases=canvases, scale_buckets=n) for n in buckets]
        print(f"| {canvases} | {' | '.join(f'{100 * share:.1f} % ({programs})' for share, programs in row)} |")


if __name__ == "__main__":
    main()
