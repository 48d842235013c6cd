"""The network's size, its treatment of pixels, and its frozen stages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.models import Detector, ModelOptions, ResNetOptions
from lad_jax.models.detector import IMAGENET_MEAN, IMAGENET_STD, normalise
from lad_jax.models.resnet import is_frozen
from lad_jax.train.state import init_variables


def shapes(model):
    return jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3), jnp.uint8), jnp.full((1, 2), 64))


def count(tree):
    return sum(x.size for x in jax.tree.leaves(tree))


# Totals of spec 1.6; R18's backbone is what remains of its total.
@pytest.mark.parametrize(
    ("depth", "backbone", "neck", "total"),
    [
        (18, 19_275_674 - 3_180_544 - 4_918_618, 3_180_544, 19_275_674),
        (50, 32_295_322 - 3_868_672 - 4_918_618, 3_868_672, 32_295_322),
        (101, 42_500_160, 3_868_672, 51_287_450),
    ],
)
def test_parameter_counts(depth, backbone, neck, total):
    params = shapes(Detector(ModelOptions(backbone=ResNetOptions(depth=depth)), 80))["params"]
    assert {name: count(tree) for name, tree in params.items()} == {
        "backbone": backbone,
        "neck": neck,
        "bbox_head": 4_918_618,
    }
    assert count(params) == total


def test_trainable_parameters_of_r50():
    backbone = shapes(Detector(ModelOptions(), 80))["params"]["backbone"]
    frozen = sum(count(tree) for name, tree in backbone.items() if is_frozen((name,), 1))
    assert 32_295_322 - frozen == 32_069_978


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_normalise(order):
    options = ModelOptions(channel_order=order, pixel_mean=(1.0, 2.0, 3.0), pixel_std=(4.0, 5.0, 6.0))
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 64, 3), np.uint8)
    out = normalise(jnp.asarray(images), jnp.array([[20, 64], [32, 10]]), options)
    for i, (h, w) in enumerate([(20, 64), (32, 10)]):
        for y, x in [(0, 0), (h - 1, w - 1)]:
            pixel = images[i, y, x, ::-1] if order == "bgr" else images[i, y, x]
            np.testing.assert_allclose(out[i, y, x], (pixel - np.array([1.0, 2, 3])) / [4, 5, 6], rtol=1e-6)
        assert not out[i, h:].any() and not out[i, :, w:].any()
    assert ModelOptions().pixel_mean == IMAGENET_MEAN and ModelOptions().pixel_std == IMAGENET_STD


TINY = ModelOptions(
    backbone=ResNetOptions(depth=10, width=8, norm="group", norm_groups=4, frozen_stages=2),
    n_levels=4,
    channels=8,
    tower_convs=1,
    norm_groups=4,
)


@pytest.fixture(scope="module")
def tiny():
    model = Detector(TINY, 3)
    hw = jnp.array([[40, 70]])
    return model, init_variables(model, 0), jax.jit(model.apply), hw


def test_what_lies_outside_the_content_is_not_seen(tiny):
    _, variables, apply, hw = tiny
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), np.uint8)
    spoiled = images.copy()
    spoiled[:, 40:], spoiled[:, :, 70:] = 255, 255
    jax.tree.map(np.testing.assert_array_equal, apply(variables, images, hw), apply(variables, spoiled, hw))
    spoiled[:, 39, 69] = 0
    assert (apply(variables, images, hw).box_deltas != apply(variables, spoiled, hw).box_deltas).any()


def test_classes_start_at_the_prior_probability(tiny):
    _, variables, apply, hw = tiny
    predictions = apply(variables, jnp.zeros((1, 64, 96, 3), jnp.uint8), hw)
    probability = np.exp(predictions.class_log_p)
    np.testing.assert_allclose(probability, 0.01, rtol=0.2)
    np.testing.assert_allclose(probability + np.exp(predictions.class_log_not_p), 1, rtol=1e-5)


def test_no_gradient_reaches_frozen_stages(tiny):
    model, variables, _, hw = tiny
    images = jnp.asarray(np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), np.uint8))

    def total(params):
        return sum(jnp.sum(x) for x in model.apply({**variables, "params": params}, images, hw))

    gradients = jax.jit(jax.grad(total))(variables["params"])
    for name, tree in gradients["backbone"].items():
        moved = any(np.asarray(g).any() for g in jax.tree.leaves(tree))
        assert moved == (name[:6] in ("layer3", "layer4")), name


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"first_level": 6}, "first_level"),
        ({"first_level": 2, "n_levels": 3}, "n_levels"),
        ({"channels": 30}, "norm_groups"),
    ],
)
def test_impossible_options(change, word):
    with pytest.raises(ValueError, match=word):
        ModelOptions(**change)
