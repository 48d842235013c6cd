"""Division that rounds up, of whole numbers and of arrays of them, numpy's or jax's."""

from typing import TypeVar

import numpy as np
from jaxtyping import Array

T = TypeVar("T", int, np.ndarray, Array)


def ceil_div(x: T, divisor: int) -> T:
    """⌈x / divisor⌉"""
    return -(-x // divisor)


def round_up(x: T, multiple: int) -> T:
    """The smallest multiple of `multiple` that is at least `x`."""
    return ceil_div(x, multiple) * multiple
