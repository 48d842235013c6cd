"""Few canvases, little padding."""

import itertools

import numpy as np
import pytest

from benchmarks.canvases import coco_sizes as originals_of_coco
from lad_jax.data import DataOptions, choose_canvases, padding_share, smallest_canvas
from lad_jax.data.canvases import canvases_of_any
from lad_jax.data.transforms import resized_hw


@pytest.fixture(scope="module")
def coco_sizes():
    """Height and width, as trained, of a sample of COCO."""
    originals = originals_of_coco()
    assert originals.shape == (604, 2)
    return resized_hw(originals, short_side=800, long_side=1333)


def test_coco_wastes_less_than_a_tenth(coco_sizes):
    default = DataOptions()
    assert (default.short_side, default.long_side) == (800, 1333)
    canvases = choose_canvases(coco_sizes, at_most=default.canvases, pad_multiple=default.pad_multiple)
    assert len(canvases) <= 5
    assert padding_share(coco_sizes, canvases) < 0.1
    assert all(side % 32 == 0 for canvas in canvases for side in canvas)


def test_more_canvases_waste_less(coco_sizes):
    shares = [
        padding_share(coco_sizes, choose_canvases(coco_sizes, at_most=n, pad_multiple=32)) for n in (1, 2, 4, 8, 1000)
    ]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < 0.03 < shares[0]


def test_greedy_is_close_to_the_best_choice():
    """Against all choices of 2 canvases out of the unions of a few sizes."""
    sizes = np.array([(64, 96)] * 5 + [(96, 64)] * 5 + [(64, 128)] + [(128, 64)] * 2 + [(96, 96)])
    chosen = choose_canvases(sizes, at_most=2, pad_multiple=32)
    sides = (64, 96, 128)
    candidates = itertools.combinations(itertools.product(sides, sides), 2)
    holding = [pair for pair in candidates if all(any((s <= c).all() for c in np.array(pair)) for s in sizes)]
    best = min(padding_share(sizes, pair) for pair in holding)
    assert padding_share(sizes, chosen) == pytest.approx(best)


def test_assign_takes_the_smallest_that_holds():
    canvases = ((64, 64), (96, 160), (160, 96), (160, 160))
    sizes = np.array([(64, 64), (65, 64), (90, 97), (97, 90), (97, 97)])
    np.testing.assert_array_equal(smallest_canvas(sizes, canvases), [0, 1, 1, 2, 3])
    with pytest.raises(ValueError, match=r"\[161, 10\] fits none"):
        smallest_canvas(np.array([(10, 10), (161, 10)]), canvases)


def test_padding_share_by_hand():
    sizes = np.array([(50, 100), (100, 100)])
    assert padding_share(sizes, ((100, 100),)) == pytest.approx(0.25)
    assert padding_share(sizes, ((50, 100), (100, 100))) == pytest.approx(0.0)


@pytest.mark.parametrize("seed", range(5))
def test_every_canvas_is_used_and_holds_its_pictures(seed):
    sizes = np.random.default_rng(seed).integers(20, 400, (60, 2))
    canvases = choose_canvases(sizes, at_most=6, pad_multiple=32)
    chosen = smallest_canvas(sizes, canvases)
    assert len(canvases) <= 6
    assert set(chosen) == set(range(len(canvases)))
    assert (sizes <= np.array(canvases)[chosen]).all()


@pytest.mark.parametrize(("short_side", "long_side"), [(800, 1333), (60, 120), (100, 101), (64, 64), (100, 50)])
def test_five_canvases_hold_pictures_of_any_shape(short_side, long_side):
    shapes = np.exp(np.random.default_rng(0).uniform(0, 10, (500, 2))).astype(int) + 1
    sizes = resized_hw(shapes, short_side=short_side, long_side=long_side)
    canvases = canvases_of_any(short_side=short_side, long_side=long_side, pad_multiple=32)
    assert len(canvases) <= 5 and not (np.array(canvases) % 32).any()
    smallest_canvas(sizes, canvases)  # an error where one fits none
    photos = resized_hw(np.array([[480, 640], [640, 480]]), short_side=800, long_side=1333)
    wide = canvases_of_any(short_side=800, long_side=1333, pad_multiple=32)
    assert padding_share(photos, wide) < 0.03
