"""Torchvision weights of ImageNet backbones as variables of ours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.convert import load_backbone
from lad_jax.errors import InputError
from lad_jax.models import ResNetOptions
from lad_jax.models.resnet import ResNet
from tests.convert.torchvision import state_dict

MODEL = ResNet(ResNetOptions(depth=18, width=4), 2, jnp.dtype("float32"))


@pytest.fixture(scope="module")
def template():
    shapes = jax.eval_shape(MODEL.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    return jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)


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
