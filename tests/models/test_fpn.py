"""The pyramid against torch's convolutions, with three and four inputs and either source of the extra levels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.models.fpn import FPN

CHANNELS, N_LEVELS = 6, 5
WIDTHS = (3, 4, 5, 7)
"""Of the backbone's maps, fine to coarse."""


def twin(torch, features, params, extra_levels):
    """All levels (spec 1.5): nearest upsampling, sums, 3x3 convolutions."""

    def conv(x, name, stride=1):
        kernel, bias = (torch.from_numpy(np.array(params[name][k])) for k in ("kernel", "bias"))
        kernel = kernel.permute(3, 2, 0, 1)
        return torch.nn.functional.conv2d(x, kernel, bias, stride=stride, padding=kernel.shape[-1] // 2)

    maps = [conv(x, f"lateral_convs_{i}") for i, x in enumerate(features)]
    for i in range(len(maps) - 1, 0, -1):
        maps[i - 1] = maps[i - 1] + torch.nn.functional.interpolate(maps[i], scale_factor=2, mode="nearest")
    levels = [conv(x, f"fpn_convs_{i}") for i, x in enumerate(maps)]
    source = {"output": levels[-1], "input": features[-1]}[extra_levels]
    for i in range(len(maps), N_LEVELS):
        source = conv(source, f"fpn_convs_{i}", stride=2)
        levels.append(source)
    return levels


@pytest.mark.parametrize(("n_inputs", "extra_levels"), [(3, "output"), (3, "input"), (4, "input")])
def test_levels_equal_the_twins(n_inputs, extra_levels, torch):
    rng = np.random.default_rng(0)
    features = [
        rng.normal(size=(2, 8 * 2**i, 12 * 2**i, width)).astype(np.float32)
        for i, width in zip(reversed(range(n_inputs)), WIDTHS, strict=False)
    ]
    neck, regions = FPN(CHANNELS, N_LEVELS, jnp.dtype("float32"), extra_levels), [None] * N_LEVELS
    shapes = jax.eval_shape(neck.init, jax.random.key(0), features, regions)
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32), shapes)
    ours = jax.jit(lambda v, x: neck.apply(v, x, regions))(variables, features)
    theirs = twin(
        torch, [torch.from_numpy(x.transpose(0, 3, 1, 2)) for x in features], variables["params"], extra_levels
    )
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b.numpy().transpose(0, 2, 3, 1), rtol=1e-4, atol=1e-4)
