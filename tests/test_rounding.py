"""Rounding up: the same for numbers and for arrays."""

import jax.numpy as jnp
import numpy as np

from lad_jax.rounding import ceil_div, round_up


def test_the_smallest_multiple_that_is_not_below() -> None:
    for x in range(100):
        for m in (1, 7, 32):
            assert ceil_div(x, m) == next(n for n in range(101) if n * m >= x)
            assert round_up(x, m) == next(n for n in range(x, x + m) if n % m == 0)


def test_arrays_are_rounded_entry_by_entry() -> None:
    x = np.arange(100, dtype=np.int32)
    expected = [round_up(n, 32) for n in range(100)]
    for array in (x, jnp.asarray(x)):
        rounded = round_up(array, 32)
        assert rounded.dtype == x.dtype and rounded.tolist() == expected
