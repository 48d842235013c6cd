"""The network's size, its treatment of pixels, and its frozen stages."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.models import Detector, ModelOptions, ResNetOptions
from lad_jax.models.detector import IMAGENET_MEAN, IMAGENET_STD, normalise
from lad_jax.models.resnet import is_frozen
from lad_jax.train.state import init_variables
from tests.networks import CANVAS, N_CLASSES, OPTIONS, noise, of_family


def shapes(model):
    return jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3), jnp.uint8), jnp.full((1, 2), 64))


def count(tree):
    return sum(x.size for x in jax.tree.leaves(tree))


R18, R50, R101 = (ResNetOptions(depth=depth) for depth in (18, 50, 101))
X101 = ResNetOptions(depth=101, groups=64, group_width=4)
C3_TO_C5 = (2, 3, 4)


# Totals of spec 1.3 and 1.6. R18's backbone is what remains of its total, and totals with offsets are sums.
@pytest.mark.parametrize(
    ("options", "backbone", "neck", "total"),
    [
        (R18, 19_275_674 - 3_180_544 - 4_918_618, 3_180_544, 19_275_674),
        (R50, 32_295_322 - 3_868_672 - 4_918_618, 3_868_672, 32_295_322),
        (R101, 42_500_160, 3_868_672, 51_287_450),
        (replace(R101, deformable_stages=C3_TO_C5), 44_429_418, 3_868_672, 44_429_418 + 3_868_672 + 4_918_618),
        (X101, 81_406_272, 3_868_672, 90_193_562),
        (replace(X101, deformable_stages=C3_TO_C5), 89_120_874, 3_868_672, 89_120_874 + 3_868_672 + 4_918_618),
    ],
    ids=["R18", "R50", "R101", "R101-DCN", "X101", "X101-DCN"],
)
def test_parameter_counts(options, backbone, neck, total):
    params = shapes(Detector(ModelOptions(backbone=options), 80))["params"]
    assert {name: count(tree) for name, tree in params.items()} == {
        "backbone": backbone,
        "neck": neck,
        "bbox_head": 4_918_618,
    }
    assert count(params) == total


def test_parameters_of_deformable_towers_and_of_levels_from_the_backbone():
    plain, changed = (
        shapes(Detector(ModelOptions(backbone=R18, deformable_towers=option, extra_levels=source), 80))["params"]
        for option, source in [(False, "output"), (True, "input")]
    )
    offsets = 27 * (9 * 256 + 1)
    assert count(changed["bbox_head"]) == count(plain["bbox_head"]) + 2 * offsets
    assert count(changed["neck"]) == count(plain["neck"]) + 9 * (512 - 256) * 256
    for tower in ("cls_convs", "reg_convs"):
        assert count(changed["bbox_head"][f"{tower}_3_conv"]["conv_offset"]) == offsets


def test_trainable_parameters_of_r50():
    """Offsets are trained where their stage is."""
    backbone = shapes(Detector(ModelOptions(), 80))["params"]["backbone"]
    frozen = sum(count(tree) for name, tree in backbone.items() if is_frozen((name,), 1))
    assert 32_295_322 - frozen == 32_069_978
    assert [is_frozen((f"layer{stage}_0", "conv2", "conv_offset", "bias"), 1) for stage in (1, 2)] == [True, False]


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


@pytest.fixture(scope="module")
def tiny():
    model = Detector(replace(OPTIONS, backbone=replace(OPTIONS.backbone, frozen_stages=2)), N_CLASSES)
    hw = jnp.array([[40, 70]])
    return model, init_variables(model, 0), jax.jit(model.apply), hw


def test_what_lies_outside_the_content_is_not_seen(tiny):
    _, variables, apply, hw = tiny
    images = noise(1)
    spoiled = images.copy()
    spoiled[:, 40:], spoiled[:, :, 70:] = 255, 255
    jax.tree.map(np.testing.assert_array_equal, apply(variables, images, hw), apply(variables, spoiled, hw))
    spoiled[:, 39, 69] = 0
    assert (apply(variables, images, hw).box_deltas != apply(variables, spoiled, hw).box_deltas).any()


def test_classes_start_at_the_prior_probability(tiny):
    _, variables, apply, hw = tiny
    predictions = apply(variables, jnp.zeros((1, *CANVAS, 3), jnp.uint8), hw)
    probability = np.exp(predictions.class_log_p)
    np.testing.assert_allclose(probability, 0.01, rtol=0.2)
    np.testing.assert_allclose(probability + np.exp(predictions.class_log_not_p), 1, rtol=1e-5)


def test_no_gradient_reaches_frozen_stages(tiny):
    model, variables, _, hw = tiny
    images = jnp.asarray(noise(1))

    def total(params):
        return sum(jnp.sum(x) for x in model.apply({**variables, "params": params}, images, hw))

    gradients = jax.jit(jax.grad(total))(variables["params"])
    for name, tree in gradients["backbone"].items():
        moved = any(np.asarray(g).any() for g in jax.tree.leaves(tree))
        assert moved == (name[:6] in ("layer3", "layer4")), name


def equations(program):
    """Those of a traced program, and of the functions in it."""
    for equation in program.eqns:
        yield equation
        for inner in jax.core.jaxprs_in_params(equation.params):
            yield from equations(inner)


@pytest.mark.parametrize("family", ["basic", "caffe", "dcn", "swin"])
def test_products_are_in_bfloat16_and_all_else_that_rounds_in_float32(family):
    """Norms, softmax and logarithms are float32; and what a network is made of and gives on."""
    model = Detector(of_family(family), N_CLASSES, "bfloat16")
    variables = jax.eval_shape(partial(init_variables, model, 0))
    program = jax.make_jaxpr(model.apply)(variables, noise(1), np.array([CANVAS]))
    kinds = dict.fromkeys(["conv_general_dilated", "dot_general"], "bfloat16")
    kinds |= dict.fromkeys(["rsqrt", "reduce_sum", "exp", "log1p", "logistic"], "float32")
    inner = [e for e in equations(program.jaxpr) if e.primitive.name in kinds]
    wrong = [e for e in inner if {str(v.aval.dtype) for v in e.invars} != {kinds[e.primitive.name]}]
    assert wrong == [] and {e.primitive.name for e in inner} >= {"conv_general_dilated", "rsqrt", "reduce_sum", "exp"}
    assert {str(x.dtype) for x in (*jax.tree.leaves(variables), *program.out_avals)} == {"float32"}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"first_level": 6}, "first_level"),
        ({"first_level": 2, "n_levels": 3}, "n_levels"),
        ({"n_levels": 35}, "n_levels is 35; it must be between 1 and 10"),
        ({"channels": 30}, "norm_groups"),
        ({"tower_convs": 0, "deformable_towers": True}, "set tower_convs"),
    ],
)
def test_impossible_options(change, word):
    with pytest.raises(ValueError, match=word):
        ModelOptions(**change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"depth": 34, "groups": 32}, "groups is 32, but depth 34 has no bottlenecks: set it to 1, or depth to 14"),
        ({"depth": 18, "deformable_stages": (3,)}, r"deformable_stages is \(3,\), but depth 18 .* set it to \(\)"),
        ({"deformable_stages": (0, 2)}, "allowed: some of 1, 2, 3, 4"),
        ({"groups": 0}, "groups is 0; it must be at least 1"),
        ({"norm": "group", "groups": 2, "group_width": 8}, "norm_groups 32 does not divide groups · group_width = 16"),
        ({"frozen_stages": 5}, "must be between -1 and 4"),
    ],
)
def test_impossible_backbones(change, words):
    with pytest.raises(ValueError, match=words):
        ResNetOptions(**change)
