"""ResNeXt and deformable backbones, each with a pyramid, against the reference implementation.

Features: 1e-4 of each map's largest entry. Gradients: 1e-3 of each tensor's largest entry.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from lad_jax.models.fpn import FPN
from lad_jax.models.resnet import ResNet, ResNetOptions
from tests.golden import network
from tests.golden.network import assert_close


class BackboneAndPyramid(nn.Module):
    """All maps of the backbone, and the pyramid on the coarsest of them."""

    backbone: ResNetOptions
    channels: int
    n_inputs: int
    n_levels: int

    @nn.compact
    def __call__(self, images):
        dtype, regions = images.dtype, [None] * self.n_levels  # the reference does not mask
        maps = ResNet(self.backbone, 2, dtype, name="backbone")(images)
        neck = FPN(self.channels, self.n_levels, dtype, name="neck")
        return maps, neck(maps[-self.n_inputs :], regions)


@pytest.fixture(scope="module", params=["backbone_x50", "backbone_r50dcn"])
def case(request, golden):
    """Arrays, maps, and gradients of Σ mean(f²) over the pyramid's levels, at or beside the weights."""
    arrays = network.load(golden / f"{request.param}.npz")
    weights, images = network.group(arrays, "weights"), jnp.asarray(arrays["images"])
    model = BackboneAndPyramid(
        network.resnet_options(weights),
        channels=len(weights["neck.lateral_convs.0.conv.bias"]),
        n_inputs=sum(name.startswith("neck.lateral_convs") and name.endswith("bias") for name in weights),
        n_levels=sum(name.startswith("fpn_") for name in arrays),
    )
    variables = network.fill(jax.eval_shape(model.init, jax.random.key(0), images), weights)

    def loss(params):
        maps, levels = model.apply({**variables, "params": params}, images)
        return sum(jnp.mean(level**2) for level in levels), (maps, levels)

    compiled = jax.jit(jax.grad(loss, has_aux=True), compiler_options=network.OPTIMISED)
    gradients, features = compiled(variables["params"])
    return (
        arrays,
        features,
        lambda seed: compiled(network.beside(variables["params"], seed))[0] if seed else gradients,
    )


def test_features(case):
    arrays, (maps, levels), _ = case
    for i, x in enumerate(maps):
        assert_close(x, arrays[f"backbone_{i}"], f"backbone_{i}")
    for i, x in enumerate(levels):
        assert_close(x, arrays[f"fpn_{i}"], f"fpn_{i}")


def test_gradients(case):
    """Those of the stem and of the first stage, which the reference froze, are zero."""
    arrays, _, gradients = case
    network.assert_gradients(gradients, arrays, "square_grad")
