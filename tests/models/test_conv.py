"""The convolution that takes a norm into itself, against the norm after it; the activation against `jax.nn.relu`."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.models.conv import Conv, relu
from lad_jax.models.deform_conv import DeformConv
from lad_jax.models.stem import Stem

RNG = np.random.default_rng(5)
X = jnp.asarray(RNG.normal(size=(2, 7, 9, 4)), jnp.float32)
EVEN = X[:, 1:, 1:]
"""For the stem, which takes no odd sides."""
FACTOR, OFFSET = jnp.asarray(RNG.normal(size=(2, 6)), jnp.float32)
F32 = jnp.dtype("float32")
INIT = nn.initializers.normal(0.3)
LAYERS = {
    "1x1": (Conv(6, 1, F32, INIT), X),
    "3x3, two cells apart, in groups": (Conv(6, 3, F32, INIT, stride=2, groups=2), X),
    "deformable": (DeformConv(6, F32, INIT, INIT), X),
    "by squares": (Stem(6, F32, INIT), EVEN),
}


@pytest.mark.parametrize(("layer", "x"), LAYERS.values(), ids=LAYERS)
def test_factor_and_offset_are_those_of_the_result(layer, x):
    """In value, and in the gradients of kernel, input, factor and offset."""
    variables = layer.init(jax.random.key(0), x)

    @jax.jit
    def inside(variables, x, factor, offset):
        return layer.apply(variables, x, factor, offset)

    @jax.jit
    def after(variables, x, factor, offset):
        return layer.apply(variables, x) * factor[None, None, None] + offset[None, None, None]

    arguments = variables, x, FACTOR, OFFSET
    weights = RNG.normal(size=after(*arguments).shape).astype(np.float32)
    np.testing.assert_allclose(inside(*arguments), after(*arguments), rtol=1e-5, atol=1e-5)
    ours, expected = (
        jax.grad(lambda *args, f=f: jnp.sum(f(*args) * weights), argnums=(0, 1, 2, 3))(*arguments)
        for f in (inside, after)
    )
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-4), ours, expected)


OF_FLAX = partial(nn.Conv, 6, use_bias=False, kernel_init=INIT)
PAIRS = {
    "next to one another": (Conv(6, 3, F32, INIT), OF_FLAX((3, 3), padding=1), X),
    "two cells apart, in groups": (
        Conv(6, 3, F32, INIT, stride=2, groups=2),
        OF_FLAX((3, 3), strides=2, padding=1, feature_group_count=2),
        X,
    ),
    "by squares": (Stem(6, F32, INIT), OF_FLAX((7, 7), strides=2, padding=3), EVEN),
}


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize(("ours", "theirs", "x"), PAIRS.values(), ids=PAIRS)
def test_convolves_as_flax_does(ours, theirs, x, channels):
    """From the same initial kernel, in value and in the gradient of the kernel."""
    x = x[..., :channels]
    variables = [layer.init(jax.random.key(3), x) for layer in (ours, theirs)]
    jax.tree.map(np.testing.assert_array_equal, *variables)
    np.testing.assert_allclose(ours.apply(variables[0], x), theirs.apply(variables[1], x), rtol=1e-6, atol=1e-6)
    found, expected = (jax.grad(lambda v, f=f: jnp.sum(jnp.sin(f.apply(v, x))))(variables[0]) for f in (ours, theirs))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), found, expected)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_relu(dtype):
    x = jnp.asarray([-2.0, -0.0, 0.0, 1e-30, 3.0], dtype)
    for f, g in ((relu, jax.nn.relu), (jax.grad(lambda x: relu(x).sum()), jax.grad(lambda x: jax.nn.relu(x).sum()))):
        np.testing.assert_array_equal(f(x), g(x))
