"""Torchvision weights of ImageNet backbones as variables of ours."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.errors import InputError
from lad_jax.models import ResNetOptions
from lad_jax.models.resnet import ResNet
from lad_jax.weights import load_backbone
from tests.weights.torchvision import state_dict

MODEL = ResNet(ResNetOptions(depth=18, width=4), 2, jnp.dtype("float32"))


def template_of(options):
    model = ResNet(options, 2, jnp.dtype("float32"))
    return jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))


@pytest.fixture(scope="module")
def template():
    return jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), template_of(MODEL.options))


def convolve(x, weight, stride):
    """Convolution as torch defines it, padded by half the kernel: OIHW weights, one picture CHW."""
    k = weight.shape[-1]
    x = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("chwij,ocij->ohw", windows, weight)


def batch_norm(x, arrays, name):
    scale, bias, mean, variance = (
        arrays[f"{name}.{k}"][:, None, None] for k in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * scale + bias


def forward(x, arrays):
    """ResNet-18 in numpy, on one picture CHW: C2 to C5 (spec 1.1)."""
    x = np.maximum(batch_norm(convolve(x, arrays["conv1.weight"], 2), arrays, "bn1"), 0)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    x = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2, ::2].max(axis=(-1, -2))
    features = []
    for stage in range(1, 5):
        for block in range(2):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = convolve(x, arrays[f"{name}.conv1.weight"], stride)
            y = np.maximum(batch_norm(y, arrays, f"{name}.bn1"), 0)
            y = batch_norm(convolve(y, arrays[f"{name}.conv2.weight"], 1), arrays, f"{name}.bn2")
            if f"{name}.downsample.0.weight" in arrays:
                shortcut = convolve(x, arrays[f"{name}.downsample.0.weight"], stride)
                x = batch_norm(shortcut, arrays, f"{name}.downsample.1")
            x = np.maximum(x + y, 0)
        features.append(x)
    return features


def test_loaded_weights_compute_what_torch_would(template):
    arrays = state_dict()
    variables = load_backbone(arrays, template, "file.npz")
    picture = np.random.default_rng(1).normal(0, 1, (32, 64, 3)).astype(np.float32)
    ours = jax.jit(MODEL.apply)(variables, picture[None])
    for a, b in zip(ours, forward(picture.transpose(2, 0, 1).astype(np.float64), arrays), strict=True):
        np.testing.assert_allclose(np.asarray(a[0]).transpose(2, 0, 1), b, rtol=1e-3, atol=1e-4)


def test_every_misfit_is_listed(template):
    arrays = state_dict()
    del arrays["layer3.0.bn2.running_var"]
    arrays["layer9.0.conv1.weight"] = np.zeros((1, 1, 1, 1))
    arrays["layer1.1.conv2.weight"] = np.zeros((4, 4, 1, 1))
    with pytest.raises(InputError) as caught:
        load_backbone(arrays, template, "some.npz")
    message = str(caught.value)
    assert "some.npz" in message
    assert "missing: layer3.0.bn2.running_var" in message
    assert "unexpected: layer9.0.conv1.weight" in message
    assert "shape of layer1.1.conv2.weight: (4, 4, 1, 1), expected (4, 4, 3, 3)" in message


R50_BLOCKS, R152_BLOCKS = (3, 4, 6, 3), (3, 8, 36, 3)
X50 = ResNetOptions(depth=50, width=4, groups=2, group_width=3)


@pytest.mark.parametrize(
    ("options", "source"),
    [
        (ResNetOptions(depth=34, width=4), {"blocks": R50_BLOCKS}),
        (ResNetOptions(depth=152, width=4), {"blocks": R152_BLOCKS, "groups": 1}),
        (X50, {"blocks": R50_BLOCKS, "groups": 2, "group_width": 3}),
    ],
    ids=["ResNet-34", "ResNet-152", "ResNeXt-50"],
)
def test_other_depths_and_groups(options, source):
    arrays = state_dict(**source)
    variables = load_backbone(arrays, template_of(options), "file.npz")
    ours = variables["params"]["layer2_1"]["conv2"]["kernel"]
    np.testing.assert_array_equal(ours, arrays["layer2.1.conv2.weight"].transpose(2, 3, 1, 0))
    wanted = sum(leaf.size for leaf in jax.tree.leaves(template_of(options)))
    assert wanted == sum(a.size for n, a in arrays.items() if not n.startswith("fc.") and "num_batches" not in n)


def misfit(arrays, options):
    with pytest.raises(InputError) as caught:
        load_backbone(arrays, template_of(options), "some.npz")
    return str(caught.value)


def test_advice_on_depth_and_groups():
    resnext = state_dict(blocks=R50_BLOCKS, groups=2, group_width=3)
    message = misfit(resnext, ResNetOptions(depth=152, width=4))
    assert "set config.model.backbone.depth=50 (now 152)" in message
    assert "set config.model.backbone.groups=2 (now 1)" in message
    assert "set config.model.backbone.group_width=3" in message
    assert "set config.model.backbone.group_width=3 (now 5)" in misfit(resnext, replace(X50, group_width=5))
    plain = misfit(state_dict(blocks=R50_BLOCKS, groups=1), X50)
    assert "set config.model.backbone.groups=1 (now 2)" in plain and "group_width=" not in plain


class TestDeformable:
    """Offsets begin at 0 where the source has none at all; else they must all be there."""

    options = replace(X50, deformable_stages=(3, 4))
    name = "layer3.2.conv2.conv_offset.bias"

    @pytest.fixture(scope="class")
    def plain(self):
        return state_dict(blocks=R50_BLOCKS, groups=2, group_width=3)

    @pytest.fixture(scope="class")
    def deformable(self, plain):
        rng, shapes = np.random.default_rng(1), template_of(self.options)["params"]
        offsets = {
            f"{block.replace('_', '.')}.conv2.conv_offset.{name}": rng.normal(size=shape).astype(np.float32)
            for block, tree in shapes.items()
            if block.startswith(("layer3", "layer4"))
            for name, shape in [("weight", (27, tree["conv1"]["kernel"].shape[3], 3, 3)), ("bias", (27,))]
        }
        return plain | offsets

    def test_from_a_plain_backbone(self, plain):
        params = load_backbone(plain, template_of(self.options), "file.npz")["params"]
        for leaf in jax.tree.leaves(params["layer3_2"]["conv2"]["conv_offset"]):
            assert not leaf.any()
        kernel = params["layer3_2"]["conv2"]["kernel"]
        np.testing.assert_array_equal(kernel, plain["layer3.2.conv2.weight"].transpose(2, 3, 1, 0))
        rest = {name: array for name, array in plain.items() if name != "layer3.2.conv2.weight"}
        assert misfit(rest, self.options).splitlines()[1:] == ["  missing: layer3.2.conv2.weight"]

    def test_with_its_offsets(self, deformable):
        params = load_backbone(deformable, template_of(self.options), "file.npz")["params"]
        offsets = params["layer3_2"]["conv2"]["conv_offset"]
        np.testing.assert_array_equal(offsets["bias"], deformable[self.name])
        weight = deformable[self.name.replace("bias", "weight")]
        np.testing.assert_array_equal(offsets["kernel"], weight.transpose(2, 3, 1, 0))

    def test_with_some_of_its_offsets(self, deformable):
        rest = {name: array for name, array in deformable.items() if name != self.name}
        assert misfit(rest, self.options).splitlines()[1:] == [f"  missing: {self.name}"]
        message = misfit(deformable, replace(self.options, deformable_stages=(2, 3)))
        assert "set config.model.backbone.deformable_stages=(3, 4) (now (2, 3))" in message
        assert "unexpected: layer4.0.conv2.conv_offset.bias" in message
