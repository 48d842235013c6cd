"""Pictures on their way into the network, against the reference's arrays.

Resizing is exact: the same OpenCV routine on the same sizes. Normalisation is one float32 subtraction and division.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.data.transforms import resize, resized_hw
from lad_jax.models import ModelOptions
from lad_jax.models.detector import normalise
from lad_jax.priors import valid_extent
from tests.golden import network


@pytest.fixture(scope="module")
def arrays(golden):
    return network.load(golden / "preprocess.npz")


def numbers(arrays):
    return [name.removeprefix("image_") for name in arrays if name.startswith("image_")]


def test_resize(arrays):
    assert numbers(arrays)
    for number in numbers(arrays):
        picture, bounds = arrays[f"image_{number}"], arrays[f"scale_{number}"]
        hw = resized_hw(np.array(picture.shape[:2]), short_side=int(bounds.min()), long_side=int(bounds.max()))
        np.testing.assert_array_equal(resize(picture, hw), arrays[f"resized_{number}"])


def test_normalise(arrays):
    for number in numbers(arrays):
        picture, expected = arrays[f"resized_{number}"], arrays[f"normalized_{number}"]
        hw = np.array(picture.shape[:2])
        assert tuple(valid_extent(jnp.asarray(hw))) == expected.shape[:2]
        canvas = np.full(expected.shape, 77, np.uint8)  # what lies outside the content must not matter
        canvas[: hw[0], : hw[1]] = picture
        ours = normalise(jnp.asarray(canvas)[None], jnp.asarray(hw)[None], ModelOptions())[0]
        np.testing.assert_allclose(ours, expected, atol=1e-6)
