"""ResNet: recomputation in the backward pass."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.models.resnet import STAGES, ResNet, ResNetOptions

FLOAT32 = jnp.dtype("float32")


@pytest.fixture(scope="module", params=[10, 14])
def case(request):
    """A tiny network's options, images, random variables, and the content of each image."""
    options = ResNetOptions(depth=request.param, width=4, frozen_stages=1)
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.standard_normal((2, 64, 96, 3)), FLOAT32)
    region = jnp.array([[64, 96], [32, 64]])
    shapes = jax.eval_shape(ResNet(options, 3, FLOAT32).init, jax.random.key(0), images, region)
    # positive: a variance is among them
    variables = jax.tree.map(lambda x: jnp.asarray(rng.uniform(0.1, 1, x.shape), x.dtype), shapes)
    return options, images, variables, region


def test_recomputation_changes_nothing(case):
    """Of every block: the same parameters give the same gradients."""
    options, images, variables, region = case
    [checkpoint] = jax.make_jaxpr(jax.checkpoint(jnp.sin))(1.0).jaxpr.eqns

    def run(remat):
        model = ResNet(replace(options, remat=remat), 3, FLOAT32)

        def loss(params):
            maps = model.apply({**variables, "params": params}, images, region)
            return sum(jnp.mean(x**2) for x in maps)

        program = jax.make_jaxpr(loss)(variables["params"])
        recomputed = [e.primitive for e in program.jaxpr.eqns].count(checkpoint.primitive)
        return recomputed, jax.jit(jax.grad(loss))(variables["params"])

    (kept_blocks, kept), (again_blocks, again) = run(False), run(True)
    assert (kept_blocks, again_blocks) == (0, sum(STAGES[options.depth][1]))
    for a, b in zip(jax.tree.leaves(kept), jax.tree.leaves(again), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())
