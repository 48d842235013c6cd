"""The norms are flax's, of each picture's region alone, in values and gradients."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.models.norm import EPSILON, FrozenBatchNorm, GroupNorm

GROUPS, CHANNELS, HW = 3, 12, (6, 8)
REGIONS = {"whole": None, "cut": jnp.array([[6, 8], [4, 3]])}


def draw(seed, *shape):
    """Numbers whose mean and deviation differ from channel to channel."""
    rng = np.random.default_rng(seed)
    each = rng.normal(size=(2, shape[-1])).astype(np.float32)
    return jnp.asarray(rng.normal(size=shape).astype(np.float32) * np.exp(each[0]) + each[1])


@pytest.mark.parametrize("region", REGIONS)
def test_group_norm(region):
    x, weight = draw(0, 2, *HW, CHANNELS), draw(1, 2, *HW, CHANNELS)
    params = {"scale": draw(2, CHANNELS), "bias": draw(3, CHANNELS)}
    sizes = [HW, HW] if REGIONS[region] is None else REGIONS[region].tolist()

    def ours(params, x):
        y = GroupNorm(GROUPS, jnp.dtype("float32")).apply({"params": params}, x, REGIONS[region])
        return [picture[:h, :w] for picture, (h, w) in zip(y, sizes, strict=True)]

    def flaxs(params, x):
        layer = nn.GroupNorm(GROUPS, epsilon=EPSILON, use_fast_variance=False)
        return [layer.apply({"params": params}, row[None, :h, :w])[0] for row, (h, w) in zip(x, sizes, strict=True)]

    def weighted(norm):
        def total(*inputs):
            return sum(jnp.vdot(w[: len(y), : y.shape[1]], y) for w, y in zip(weight, norm(*inputs), strict=True))

        return total

    for found, expected in zip(ours(params, x), flaxs(params, x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)
    gradients = (jax.grad(weighted(norm), argnums=(0, 1))(params, x) for norm in (ours, flaxs))
    for found, expected in zip(*map(jax.tree.leaves, gradients), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)


def test_frozen_batch_norm():
    x = draw(0, 2, *HW, CHANNELS)
    variables = {
        "params": {"scale": draw(1, CHANNELS), "bias": draw(2, CHANNELS)},
        "batch_stats": {"mean": draw(3, CHANNELS), "var": jnp.exp(draw(4, CHANNELS))},
    }
    factor, offset = FrozenBatchNorm().apply(variables, CHANNELS)
    expected = nn.BatchNorm(use_running_average=True, epsilon=EPSILON).apply(variables, x)
    np.testing.assert_allclose(x * factor[None, None, None] + offset[None, None, None], expected, rtol=1e-5, atol=1e-5)
