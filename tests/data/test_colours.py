"""Colour jitter: against numpy's arithmetic, and what each change leaves as it is."""

import colorsys

import numpy as np
import pytest

from lad_jax.data.colours import colour_map, draw_colours, recolour

LUMA = np.array([0.299, 0.587, 0.114])
SAME = {"contrast": 1.0, "saturation": 1.0, "brightness": 0.0, "hue": 0.0}


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)


def test_a_map_is_applied_to_each_pixel(noise):
    colours = draw_colours(0.8, np.random.default_rng(1))
    exact = np.clip(noise @ colours[:, :3].T + colours[:, 3], 0, 255)
    assert np.abs(recolour(noise, colours) - exact).max() < 1.01  # OpenCV calculates in fixed point
    assert (exact == 0).any() and (exact == 255).any()


def test_no_change_is_none(noise):
    np.testing.assert_array_equal(recolour(noise, colour_map(**SAME)), noise)
    np.testing.assert_array_equal(recolour(noise, draw_colours(0.0, np.random.default_rng(0))), noise)


@pytest.mark.parametrize("change", [{"saturation": 0.4}, {"saturation": 1.7}, {"hue": 0.5}, {"hue": -2.0}])
def test_saturation_and_hue_keep_luma_and_gray(change):
    matrix = colour_map(**SAME | change)
    colours = np.random.default_rng(0).uniform(0, 255, (100, 3))
    changed = colours @ matrix[:, :3].T + matrix[:, 3]
    np.testing.assert_allclose(changed @ LUMA, colours @ LUMA, atol=1e-9)
    assert np.abs(changed - colours).max() > 5
    grays = np.repeat(np.arange(0.0, 256.0, 51.0)[:, None], 3, axis=1)
    np.testing.assert_allclose(grays @ matrix[:, :3].T + matrix[:, 3], grays, atol=1e-9)


def test_saturation_is_the_distance_from_gray():
    matrix = colour_map(**SAME | {"saturation": 0.25})
    colour = np.array([200.0, 40.0, 90.0])
    gray = colour @ LUMA
    np.testing.assert_allclose(matrix[:, :3] @ colour + matrix[:, 3], gray + 0.25 * (colour - gray), atol=1e-9)


def test_contrast_keeps_middle_gray_and_brightness_adds():
    matrix = colour_map(**SAME | {"contrast": 0.5, "brightness": 10.0})
    colour = np.array([0.0, 127.5, 255.0])
    np.testing.assert_allclose(matrix[:, :3] @ colour + matrix[:, 3], [73.75, 137.5, 201.25], atol=1e-9)


@pytest.mark.parametrize("degrees", [-30, 18, 30])
def test_a_hue_turns_as_far_as_colorsys_says_in_yiq(degrees):
    matrix = colour_map(**SAME | {"hue": np.deg2rad(degrees)})
    before = np.array([0.5, 0.45, 0.4])
    after = matrix[:, :3] @ before
    (_, i0, q0), (_, i1, q1) = colorsys.rgb_to_yiq(*before), colorsys.rgb_to_yiq(*after)
    turned = np.rad2deg(np.angle(complex(i1, q1) / complex(i0, q0)))
    assert turned == pytest.approx(degrees, abs=1.0)  # its axes are rounded to two digits
    assert abs(complex(i1, q1)) == pytest.approx(abs(complex(i0, q0)), rel=0.02)


def test_draws_are_even_within_their_bounds():
    maps = np.array([draw_colours(0.5, np.random.default_rng(seed)) for seed in range(3000)])
    contrast = maps[:, :, :3].sum(axis=2)  # of a gray picture
    np.testing.assert_allclose(contrast, contrast[:, :1].repeat(3, axis=1), atol=1e-9)
    brightness = maps[:, 0, 3] - (1 - contrast[:, 0]) * 127.5
    for drawn, low, high in ((contrast[:, 0], 0.5, 1.5), (brightness, -32, 32)):
        assert low <= drawn.min() and drawn.max() <= high
        quarters = np.histogram(drawn, 4, (low, high))[0]
        assert np.abs(quarters - 750).max() < 100
