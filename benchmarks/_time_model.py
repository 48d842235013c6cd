"""An estimate of an H100's time by a simple model, frozen to compare forms by it; only `h200_ms` is measured.

A convolution is a product of matrices in tiles of 128x128, in whole waves of all multiprocessors, at 0.6 of 800
TFLOP/s; or takes what its bytes take, if that is longer. Any other kernel takes what its bytes take at 2.8 TB/s, and at
least the time of a launch. Whenever the host must know a value it waits. Differences between forms are more reliable
than sums. It does not know what kernels wait for within themselves, as a scatter's priors for one another, nor that
cuDNN pads channels to eight.
"""

import math

from benchmarks._convolutions import Convolution

BANDWIDTH = 2.8e12
"""Bytes a second."""
PEAK = 800e12
"""Operations a second on dense bfloat16 matrices."""
EFFICIENCY = 0.6
"""Share of `PEAK` that a full tile reaches."""
MULTIPROCESSORS = 132
IN_GRAPH, ALONE = 1.8e-6, 2.2e-6
"""Least time of a kernel within a CUDA graph, and of one that the host launches [s]."""
ASKED = 12e-6
"""Time in which the host reads a value that a loop or branch waits for [s]."""


def kernel_seconds(moved: int, in_graph: bool) -> float:
    """Time of a kernel that is no convolution.

    Args:
      moved: bytes that it reads and writes.
      in_graph: whether it lies in a CUDA graph.
    """
    return max(moved / BANDWIDTH, IN_GRAPH if in_graph else ALONE)


def convolution_seconds(c: Convolution, moved: int) -> float:
    """Time of a convolution that reads and writes `moved` bytes."""
    if c.kind == "gradient of the kernel":  # the sums are divided among the multiprocessors, so that all are busy
        width = 128 if c.columns >= 128 else 64
        padded = math.ceil(c.rows / 128) * 128 * math.ceil(c.columns / width) * width
        return max(2 * padded * c.depth / (PEAK * EFFICIENCY), moved / BANDWIDTH, 6e-6)
    width = 128 if c.columns > 64 else 64 if c.columns > 32 else 32
    tiles = math.ceil(c.rows / 128) * math.ceil(c.columns / width)
    rate = PEAK / MULTIPROCESSORS * EFFICIENCY * (1.0 if width == 128 else 0.6)
    return max(math.ceil(tiles / MULTIPROCESSORS) * 2 * 128 * width * c.depth / rate, moved / BANDWIDTH, 5e-6)


def h200_ms(convolution_ms: float, ms: float, launches: int) -> float:
    """Milliseconds of a step or a detector on an H200: the model's, corrected by what one step took there.

    The three numbers are those of PAA R50's step of 16 pictures (f762a90 without its nine scatters; 7 objects, jax
    0.11.2): convolutions 34.1 ms where the model has 48.0, other kernels 15.5 and 14.2, and 4.9 ms in which none of
    1,750 launches was at work. Steps of LAD and CoLAD, and the detector, took 5 to 12 % longer than this says.

    Args:
      convolution_ms: the model's time of the convolutions.
      ms: its time of all.
      launches: number of kernels.
    """
    return 0.71 * convolution_ms + 1.09 * (ms - convolution_ms) + 2.8e-3 * launches
