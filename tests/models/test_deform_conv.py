"""Modulated deformable convolutions: a literal twin, its finite differences, borders, and the plain convolution."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.models.deform_conv import DeformConv, deform_conv, sample
from tests.reference import deform_conv as twin

HEIGHT, WIDTH = 4, 5


def operands(stride, groups):
    """Map, offsets, masks and kernel in float64, for the outputs of the first two rows and columns."""
    rng = np.random.default_rng(0)
    offsets = rng.normal(0, 2, (2, 2, 9, 2))
    offsets[0, 0, 0] = 40, -70
    # The middle tap of output (y, x) stands on cell stride · (y, x): from there just inside a border, and just beyond.
    offsets[0, 0, 4] = 1e-3 - 1, 0.4
    offsets[0, 1, 4] = -1e-3 - 1, 0.4
    offsets[1, 1, 4] = HEIGHT - 1e-3 - stride, WIDTH - 1e-3 - stride
    offsets[1, 0, 4] = HEIGHT + 1e-3 - stride, 0.3
    kernel = rng.normal(size=(3, 3, 4 // groups, 2))
    return rng.normal(size=(HEIGHT, WIDTH, 4)), offsets, rng.uniform(size=(2, 2, 9)), kernel


@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 2)])
def test_values_and_gradients_equal_the_twins(stride, groups):
    """Gradients by central differences of the twin, in float64 on both sides, of a random sum of the outputs."""
    arrays = operands(stride, groups)
    weights = np.random.default_rng(1).normal(size=(2, 2, 2))

    def loss(*arrays):
        out = deform_conv(arrays[0][None], arrays[1][None], arrays[2][None], arrays[3], stride=stride)[0]
        return jnp.sum(out * weights), out

    with jax.enable_x64(True):
        (_, out), gradients = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2, 3), has_aux=True))(*arrays)
        assert out.dtype == jnp.float64
    np.testing.assert_allclose(out, twin.deform_conv(*arrays, stride), rtol=1e-12, atol=1e-12)

    step = 1e-6
    for number, (array, gradient) in enumerate(zip(arrays, gradients, strict=True)):
        expected = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            sides = []
            for sign in (1, -1):
                moved = [a.copy() for a in arrays]
                moved[number][index] += sign * step
                sides.append(np.sum(twin.deform_conv(*moved, stride) * weights))
            expected[index] = (sides[0] - sides[1]) / (2 * step)
        np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-7, err_msg=str(number))


def slopes(position):
    """Value and gradients of samples, one after the other, of the sum of a map's channels."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, HEIGHT, WIDTH, 3)), jnp.float32)
    at = jnp.asarray(position, jnp.float32).reshape(1, -1, 1, 2)
    value, slope = jax.jit(jax.value_and_grad(lambda x, at: sample(x, at).sum(), argnums=(0, 1)))(x, at)
    return x[0].sum(axis=-1), value, slope[0], slope[1][0, :, 0]


def test_nothing_is_seen_from_the_border_on():
    """One cell outside, where the outermost taps begin, neither is there a gradient, as in the reference."""
    border = [(-1, 2), (HEIGHT, 2), (2, -1), (2, WIDTH), (-1, -1), (HEIGHT, WIDTH)]
    _, value, of_map, of_position = slopes([*border, (1e30, 2), (2, -np.inf)])
    assert value == 0 and not of_map.any() and not of_position.any()


def test_at_a_cell_the_gradient_is_that_of_the_far_side():
    """Where the slope has a step, the references take the one towards the next row and column."""
    x, _, _, [slope] = slopes([(2, 1)])
    np.testing.assert_allclose(slope, [x[3, 1] - x[2, 1], x[2, 2] - x[2, 1]], rtol=1e-5)


@pytest.mark.parametrize(("stride", "groups", "dtype"), [(1, 2, "float32"), (2, 1, "float32"), (1, 1, "bfloat16")])
def test_begins_as_half_the_plain_convolution(stride, groups, dtype):
    """More cells than bfloat16 can count: positions have to be float32."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 300, 4)), dtype)
    layer = DeformConv(
        6, jnp.dtype(dtype), nn.initializers.normal(0.1), stride=stride, groups=groups, name="conv2", parent=None
    )
    ours, variables = layer.init_with_output(jax.random.key(0), x)
    assert ours.dtype == x.dtype
    kernel = variables["params"]["kernel"].astype(dtype)
    plain = jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), [(1, 1), (1, 1)], dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )  # fmt: skip
    ours, expected = np.asarray(ours, np.float32), np.asarray(plain, np.float32) / 2
    tolerance = 1e-6 if dtype == "float32" else 1e-2
    np.testing.assert_allclose(ours, expected, atol=tolerance * np.abs(expected).max())
