"""The convolution that takes a norm into itself, against the norm after it; the activation against `jax.nn.relu`."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.models.conv import Conv, relu
from lad_jax.models.deform_conv import DeformConv

RNG = np.random.default_rng(5)
X = jnp.asarray(RNG.normal(size=(2, 7, 9, 4)), jnp.float32)
FACTOR, OFFSET = jnp.asarray(RNG.normal(size=(2, 6)), jnp.float32)
F32 = jnp.dtype("float32")
INIT = nn.initializers.normal(0.3)
LAYERS = {
    "1x1": Conv(6, 1, F32, INIT),
    "3x3, two cells apart, in groups": Conv(6, 3, F32, INIT, stride=2, groups=2),
    "deformable": DeformConv(6, F32, INIT, INIT),
}


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_factor_and_offset_are_those_of_the_result(layer):
    """In value, and in the gradients of kernel, input, factor and offset."""
    variables = layer.init(jax.random.key(0), X)

    @jax.jit
    def inside(variables, x, factor, offset):
        return layer.apply(variables, x, factor, offset)

    @jax.jit
    def after(variables, x, factor, offset):
        return layer.apply(variables, x) * factor[None, None, None] + offset[None, None, None]

    arguments = variables, X, FACTOR, OFFSET
    weights = RNG.normal(size=after(*arguments).shape).astype(np.float32)
    np.testing.assert_allclose(inside(*arguments), after(*arguments), rtol=1e-5, atol=1e-5)
    ours, expected = (
        jax.grad(lambda *args, f=f: jnp.sum(f(*args) * weights), argnums=(0, 1, 2, 3))(*arguments)
        for f in (inside, after)
    )
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-4), ours, expected)


@pytest.mark.parametrize("strides", [1, 2])
def test_convolves_as_flax_does(strides):
    ours = Conv(6, 3, F32, INIT, stride=strides, groups=2)
    theirs = nn.Conv(6, (3, 3), strides, padding=1, feature_group_count=2, use_bias=False, kernel_init=INIT)
    variables = [layer.init(jax.random.key(3), X) for layer in (ours, theirs)]
    jax.tree.map(np.testing.assert_array_equal, *variables)
    np.testing.assert_allclose(ours.apply(variables[0], X), theirs.apply(variables[0], X), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_relu(dtype):
    x = jnp.asarray([-2.0, -0.0, 0.0, 1e-30, 3.0], dtype)
    for f, g in ((relu, jax.nn.relu), (jax.grad(lambda x: relu(x).sum()), jax.grad(lambda x: jax.nn.relu(x).sum()))):
        np.testing.assert_array_equal(f(x), g(x))
