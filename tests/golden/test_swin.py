"""Swin and the pyramid on it against the reference implementation (`backbone_swin`): maps, and every gradient."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.models import SwinOptions
from lad_jax.models.fpn import FPN
from lad_jax.models.swin import Swin
from lad_jax.models.windows import relative_position_index
from tests.golden import network
from tests.golden.network import assert_close, flatten_dict, group, reference_name, unflatten_dict

FLOAT32 = jnp.dtype("float32")
ATTENTION = "backbone.stages.{}.blocks.0.attn.w_msa."


def options_of(weights) -> SwinOptions:
    """Sizes of the reference's network, from names and shapes."""
    tables = [weights[ATTENTION.format(stage) + "relative_position_bias_table"] for stage in range(4)]
    return SwinOptions(
        embed=len(weights["backbone.patch_embed.norm.weight"]),
        depths=tuple(
            len({m[1] for name in weights if (m := re.match(rf"backbone\.stages\.{stage}\.blocks\.(\d+)\.", name))})
            for stage in range(4)
        ),
        heads=tuple(table.shape[1] for table in tables),
        window=(int(np.sqrt(len(tables[0]))) + 1) // 2,
    )


def from_torch_layout(path, array):
    if path[-1] != "kernel":
        return array
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def in_torch_layout(path, array):
    if path[-1] != "kernel":
        return array
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T


@pytest.fixture(scope="module")
def arrays(golden):
    return network.load(golden / "backbone_swin.npz")


@pytest.fixture(scope="module")
def run(arrays):
    """Our maps of backbone and pyramid, and, by name, the gradient of the sum over levels of mean(f²)."""
    weights = group(arrays, "weights")
    images = jnp.asarray(arrays["images"])
    n_levels = sum(re.fullmatch(r"fpn_\d", name) is not None for name in arrays)
    backbone = Swin(options_of(weights), 2, FLOAT32)
    neck = FPN(arrays["fpn_0"].shape[-1], n_levels, FLOAT32)

    def features(params):
        maps = backbone.apply({"params": params["backbone"]}, images)
        return maps, neck.apply({"params": params["neck"]}, maps[1:], [None] * n_levels)

    def loss(params):
        maps, pyramid = features(params)
        return sum(jnp.mean(f**2) for f in pyramid), (maps, pyramid)

    shapes = {"backbone": jax.eval_shape(backbone.init, jax.random.key(0), images)["params"]}
    maps = [jnp.asarray(arrays[f"backbone_{i}"]) for i in range(1, 4)]
    shapes["neck"] = jax.eval_shape(neck.init, jax.random.key(0), maps, [None] * n_levels)["params"]
    names = {path: reference_name(path) for path in flatten_dict(shapes)}
    unused = {name for name in weights if not name.endswith("relative_position_index")} - set(names.values())
    assert not unused
    params = {}
    for path, leaf in flatten_dict(shapes).items():
        params[path] = jnp.asarray(from_torch_layout(path, weights[names[path]]))
        assert params[path].shape == leaf.shape, names[path]
    # No ReLU, so nothing that rounding could switch: compiled as cheaply as in other tests.
    gradients, (maps, pyramid) = jax.jit(jax.grad(loss, has_aux=True))(unflatten_dict(params))
    return maps, pyramid, {names[path]: in_torch_layout(path, leaf) for path, leaf in flatten_dict(gradients).items()}


def test_maps_of_the_backbone(run, arrays):
    assert len(run[0]) == 4
    for i, ours in enumerate(run[0]):
        assert_close(ours, arrays[f"backbone_{i}"], f"backbone_{i}")


def test_pyramid(run, arrays):
    for i, ours in enumerate(run[1]):
        assert_close(ours, arrays[f"fpn_{i}"], f"fpn_{i}")


def test_gradients(run, arrays):
    reference = group(arrays, "square_grad")
    assert set(run[2]) == set(reference)
    for name, gradient in run[2].items():
        assert_close(gradient, reference[name], name, tolerance=1e-3)


def test_relative_positions(arrays):
    index = arrays["weights/" + ATTENTION.format(0) + "relative_position_index"]
    np.testing.assert_array_equal(relative_position_index(int(np.sqrt(len(index)))), index)
