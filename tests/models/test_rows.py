"""Convolutions of maps whose rows are split over devices: XLA's own on one device, with its gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from lad_jax.mesh import MeshOptions, make_mesh
from lad_jax.models.rows import convolve

DIMENSIONS = ("NHWC", "HWIO", "NHWC")
CHAIN = ((7, 2, 3), (3, 1, 1), (1, 2, 0), (3, 2, 1), (3, 1, 1), (2, 2, 0))
"""Kernel, stride and padding of convolutions, each on the last one's map."""
KERNELS = [
    jax.random.normal(jax.random.key(i), (side, side, 3, 3)) / (2 * side) for i, (side, _, _) in enumerate(CHAIN)
]


def loss(kernels, x, convolve):
    """A weighted sum over all cells of the last map, which tells a shifted map from a right one."""
    for kernel, (_, stride, padding) in zip(kernels, CHAIN, strict=True):
        x = jnp.tanh(convolve(x, kernel, (stride, stride), ((padding, padding),) * 2, dimension_numbers=DIMENSIONS))
    return jnp.sum(x * jnp.cos(jnp.arange(x.size)).reshape(x.shape))


@pytest.mark.parametrize(("rows", "parts"), [(64, 4), (48, 8), (40, 2), (32, 8)])
def test_split_convolutions_are_those_of_whole_maps(rows, parts):
    """Maps that divide down to the last, that stop dividing on the way, or have fewer rows than halos reach."""
    x = jax.random.normal(jax.random.key(9), (2, rows, 16, 3))
    gradients = jax.value_and_grad(loss, argnums=(0, 1))
    expected = jax.jit(lambda kernels, x: gradients(kernels, x, jax.lax.conv_general_dilated))(KERNELS, x)
    mesh = make_mesh(MeshOptions(data=1, spatial=parts), {})
    with jax.set_mesh(mesh):
        split = jax.device_put(x, P(None, "spatial"))
        ours = jax.jit(lambda kernels, x: gradients(kernels, x, convolve))(KERNELS, split)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max()), ours, expected)
