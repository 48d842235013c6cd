"""Anchors against spec 2.1 and 2.2."""

import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.priors import make_levels, make_priors, within

STRIDES = (8, 16, 32, 64, 128)


def test_published_canvases():
    assert make_levels((800, 1344), STRIDES).shapes == ((100, 168), (50, 84), (25, 42), (13, 21), (7, 11))
    assert sum(make_levels((800, 1344), STRIDES).sizes) == 22_400
    assert sum(make_levels((800, 1088), STRIDES).sizes) == 18_134


def test_every_anchor():
    """Level by level, row by row, centred on the cell's top left corner."""
    expected, levels = [], []
    for level, stride in enumerate(STRIDES):
        for i in range(-(-96 // stride)):
            for j in range(-(-160 // stride)):
                x, y, half = j * stride, i * stride, 4 * stride
                expected.append([x - half, y - half, x + half, y + half])
                levels.append(level)
    priors = make_priors((96, 160), STRIDES, 8.0)
    np.testing.assert_array_equal(priors.boxes, expected)
    np.testing.assert_array_equal(priors.levels.of_prior, levels)
    assert [levels.index(level) for level in range(5)] == [part.start for part in priors.levels.slices]
    assert priors.valid.all()
    assert priors.boxes[:2].tolist() == [[-32, -32, 32, 32], [-24, -32, 40, 32]]


def test_anchor_scale():
    priors = make_priors((64, 64), (4, 8), 3.0)
    assert set(np.unique(priors.boxes[:, 2] - priors.boxes[:, 0])) == {12.0, 24.0}


@pytest.mark.parametrize(("hw", "expected"), [((90, 125), (192, 48, 12, 4, 1)), ((128, 160), (320, 80, 20, 6, 2))])
def test_valid_priors_of_the_worked_example(hw, expected):
    priors = within(make_priors((128, 160), STRIDES, 8.0), jnp.array(hw))
    assert tuple(np.bincount(priors.levels.of_prior, weights=priors.valid).astype(int)) == expected


def test_valid_rows_and_columns():
    """Rows below ceil(padded height / stride), columns likewise (spec 2.2)."""
    hw, canvas = (65, 129), (160, 256)
    priors = within(make_priors(canvas, STRIDES, 8.0), jnp.array(hw))
    expected = []
    for (rows, columns), stride in zip(priors.levels.shapes, STRIDES, strict=True):
        inside = np.zeros((rows, columns), bool)
        inside[: -(-96 // stride), : -(-160 // stride)] = True
        expected.append(inside.ravel())
    np.testing.assert_array_equal(priors.valid, np.concatenate(expected))


def test_no_picture_has_no_valid_prior():
    assert not within(make_priors((64, 64), STRIDES, 8.0), jnp.zeros(2, jnp.int32)).valid.any()
