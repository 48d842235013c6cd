"""Swin: window attention against a literal twin, stochastic depth, recomputation, sizes, bad options."""

from dataclasses import replace
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf, softmax

from lad_jax.errors import InputError
from lad_jax.models import SWIN, Detector, ModelOptions, SwinOptions
from lad_jax.models.backbones import check_canvases
from lad_jax.models.swin import MLP, Block, Swin, layer_norm
from lad_jax.models.windows import ShiftedWindows
from lad_jax.train.state import init_variables

FLOAT32 = jnp.dtype("float32")
TINY = SwinOptions(embed=4, depths=(1, 2, 1, 1), heads=(1, 2, 2, 4), window=4, drop_path=0.5)


def noisy(shapes, seed=0, scale=0.5):
    """Random values for every parameter: a bias of zero would hide what leaks."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: jnp.asarray(scale * rng.standard_normal(x.shape), x.dtype), shapes)


def params_of(module, *inputs, scale=0.5):
    return noisy(jax.eval_shape(module.init, jax.random.key(0), *inputs), scale=scale)


def count(tree):
    return sum(x.size for x in jax.tree.leaves(tree))


def attention(x, params, heads, window, shift):
    """Of one map [H, W, C], as the reference writes it (spec 1.4): pad, roll, label 3x3 regions, attend, roll back."""
    p = jax.tree.map(lambda a: np.asarray(a, np.float64), params)["w_msa"]
    height, width, channels = x.shape
    x = np.pad(x.astype(np.float64), [(0, -height % window), (0, -width % window), (0, 0)])
    x = np.roll(x, (-shift, -shift), (0, 1))
    labels = np.zeros(x.shape[:2])
    parts = [slice(0, -window), slice(-window, -shift), slice(-shift, None)] if shift else [slice(None)]
    for i, rows in enumerate(parts):
        for j, columns in enumerate(parts):
            labels[rows, columns] = 3 * i + j
    out = np.zeros_like(x)
    cells = [(i, j) for i in range(window) for j in range(window)]
    for top in range(0, x.shape[0], window):
        for left in range(0, x.shape[1], window):
            at = np.s_[top : top + window, left : left + window]
            tokens, label = x[at].reshape(-1, channels), labels[at].reshape(-1)
            qkv = tokens @ p["qkv"]["kernel"] + p["qkv"]["bias"]
            q, k, v = qkv.reshape(-1, 3, heads, channels // heads).transpose(1, 2, 0, 3)
            logits = q @ k.transpose(0, 2, 1) / np.sqrt(channels // heads)
            for a, (i, j) in enumerate(cells):
                for b, (m, n) in enumerate(cells):
                    row = (i - m + window - 1) * (2 * window - 1) + j - n + window - 1
                    logits[:, a, b] += p["relative_position_bias_table"][row] - 100 * (label[a] != label[b])
            mixed = (softmax(logits, axis=-1) @ v).transpose(1, 0, 2).reshape(-1, channels)
            out[at] = (mixed @ p["proj"]["kernel"] + p["proj"]["bias"]).reshape(window, window, channels)
    return np.roll(out, (shift, shift), (0, 1))[:height, :width]


@pytest.mark.parametrize(("window", "shift"), [(7, 0), (7, 3), (4, 2), (12, 6)])
def test_attention_equals_the_references_roll(window, shift):
    """On a whole map; and with a region, where each picture's cells are those of a map of its own size."""
    sizes = [(5, 9), (10, 16), (8, 7), (1, 1)]
    canvas = (10, 16)
    x = np.random.default_rng(1).standard_normal((len(sizes), *canvas, 6)).astype(np.float32)
    module = ShiftedWindows(2, window, shift, FLOAT32)
    params = params_of(module, x, None)
    whole = jax.jit(module.apply)(params, x, None)
    for i in range(len(sizes)):
        np.testing.assert_allclose(whole[i], attention(x[i], params["params"], 2, window, shift), rtol=1e-4, atol=1e-5)
    for i, (h, w) in enumerate(sizes):
        x[i, h:] = x[i, :, w:] = 0
    within = jax.jit(module.apply)(params, x, jnp.asarray(sizes))
    assert np.isfinite(within).all()
    for i, (h, w) in enumerate(sizes):
        twin = attention(x[i, :h, :w], params["params"], 2, window, shift)
        np.testing.assert_allclose(within[i, :h, :w], twin, rtol=1e-4, atol=1e-5)


def test_perceptron_has_an_exact_gelu():
    x = jnp.asarray(np.random.default_rng(1).standard_normal((1, 2, 3, 4)), jnp.float32)
    params = params_of(MLP(FLOAT32), x)
    p = jax.tree.map(np.asarray, params["params"])
    y = np.asarray(x) @ p["layers_0_0"]["kernel"] + p["layers_0_0"]["bias"]
    y = y * (1 + erf(y / np.sqrt(2))) / 2
    expected = y @ p["layers_1"]["kernel"] + p["layers_1"]["bias"]
    np.testing.assert_allclose(MLP(FLOAT32).apply(params, x), expected, rtol=1e-5, atol=1e-6)


class TestDropPath:
    """Stochastic depth: a branch is left out for a picture, else divided by the probability of keeping it."""

    KEEP, N = 0.7, 3000

    @pytest.fixture(scope="class")
    def case(self):
        """A block, and N times the same picture, so that only chance tells the outputs apart."""
        block = Block(1, 2, 1, 1 - self.KEEP, FLOAT32)
        picture = jnp.asarray(np.random.default_rng(2).standard_normal((1, 2, 2, 4)), jnp.float32)
        params = params_of(block, picture, None)
        apply = jax.jit(lambda rngs, x: block.apply(params, x, None, rngs=rngs))
        return block, params["params"], picture, apply

    def test_four_outcomes(self, case):
        """None, either or both branches, each as often as two independent draws give it."""
        _, params, picture, apply = case
        out = apply({"drop_path": jax.random.key(0)}, jnp.repeat(picture, self.N, axis=0))

        def branch(name, norm, module, x, *rest):
            x = layer_norm(norm).apply({"params": params[norm]}, x)
            return module.apply({"params": params[name]}, x, *rest) / self.KEEP

        attended = picture + branch("attn", "norm1", ShiftedWindows(1, 2, 1, FLOAT32), picture, None)
        mlp = MLP(FLOAT32)
        cases = {
            "none": (picture, (1 - self.KEEP) ** 2),
            "attention": (attended, self.KEEP * (1 - self.KEEP)),
            "perceptron": (picture + branch("ffn", "norm2", mlp, picture), self.KEEP * (1 - self.KEEP)),
            "both": (attended + branch("ffn", "norm2", mlp, attended), self.KEEP**2),
        }
        seen = 0
        for name, (expected, probability) in cases.items():
            n = int((jnp.abs(out - expected).max(axis=(1, 2, 3)) < 1e-4).sum())
            deviation = np.sqrt(self.N * probability * (1 - probability))
            assert abs(n - self.N * probability) < 4 * deviation, name
            seen += n
        assert seen == self.N

    def test_without_random_numbers_nothing_is_left_out(self, case):
        _, params, picture, apply = case
        kept = Block(1, 2, 1, 0.0, FLOAT32)
        at_rate_0 = jax.jit(lambda rngs, x: kept.apply({"params": params}, x, None, rngs=rngs))
        expected = apply({}, picture)
        for rngs in ({}, {"drop_path": jax.random.key(0)}):
            np.testing.assert_array_equal(at_rate_0(rngs, picture), expected)

    def test_rates_and_shifts_of_the_blocks(self):
        """Rates rise linearly from 0; every other block of a stage shifts its windows by half."""
        blocks = {}

        def note(following, arguments, keywords, context):
            if isinstance(context.module, Block):
                blocks[context.module.name] = (context.module.drop_path, context.module.shift)
            return following(*arguments, **keywords)

        with nn.intercept_methods(note):
            jax.eval_shape(Swin(SWIN["base"], 2, FLOAT32).init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
        np.testing.assert_allclose([rate for rate, _ in blocks.values()], 0.3 * np.arange(24) / 23)
        assert [shift for _, shift in blocks.values()] == [0, 3] * 12


def test_a_block_in_bfloat16():
    x = jnp.asarray(np.random.default_rng(5).standard_normal((1, 4, 6, 4)), jnp.float32)
    block, exact = Block(2, 4, 2, 0.0, jnp.dtype("bfloat16")), Block(2, 4, 2, 0.0, FLOAT32)
    params = params_of(exact, x, None)
    rounded = x.astype(jnp.bfloat16)
    out = jax.jit(block.apply)(params, rounded, None)
    assert out.dtype == jnp.bfloat16
    np.testing.assert_allclose(out.astype(jnp.float32), jax.jit(exact.apply)(params, x, None), rtol=0.05, atol=0.05)


@pytest.fixture(scope="module")
def tiny():
    """Images, and parameters of a tiny network."""
    images = jnp.asarray(np.random.default_rng(3).standard_normal((2, 32, 64, 3)), jnp.float32)
    return images, params_of(Swin(TINY, 2, FLOAT32), images)


def test_recomputation_is_of_every_block(tiny):
    images, params = tiny
    [checkpoint] = jax.make_jaxpr(jax.checkpoint(jnp.sin))(1.0).jaxpr.eqns

    def recomputed(options):
        program = jax.make_jaxpr(partial(Swin(options, 2, FLOAT32).apply, rngs={"drop_path": jax.random.key(0)}))
        return [e.primitive for e in program(params, images).jaxpr.eqns].count(checkpoint.primitive)

    assert recomputed(TINY) == 0
    assert recomputed(replace(TINY, remat=True)) == sum(TINY.depths)


def test_recomputation_changes_nothing():
    """With branches left out at random too: both passes draw the same."""
    x = jnp.asarray(np.random.default_rng(4).standard_normal((9, 4, 6, 4)), jnp.float32)
    sizes = (2, 4, 2, 0.5, FLOAT32)
    params = params_of(Block(*sizes), x, None)

    @partial(jax.jit, static_argnums=0)
    def run(block, params, region):
        def loss(params):
            out = block.apply(params, x, region, rngs={"drop_path": jax.random.key(1)})
            return jnp.mean(out**3), out

        return jax.grad(loss, has_aux=True)(params)

    region = jnp.tile(jnp.array([[3, 6]]), (9, 1))
    kept, again = run(Block(*sizes), params, region), run(nn.remat(Block)(*sizes), params, region)
    for a, b in zip(jax.tree.leaves(kept), jax.tree.leaves(again), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize(
    ("name", "classifier"), [("tiny", 28_288_354), ("small", 49_606_258), ("base", 87_768_224), ("large", 196_532_476)]
)
def test_parameter_counts(name, classifier):
    """As summed by hand; and with a linear layer on the last map as many as the published ImageNet classifiers have."""
    options = SWIN[name]
    c = [options.embed * 2**stage for stage in range(4)]
    embedding = 4 * 4 * 3 * c[0] + c[0] + 2 * c[0]
    merging = sum(2 * 4 * n + 4 * n * 2 * n for n in c[:3])
    stages = 0
    for n, depth, heads in zip(c, options.depths, options.heads, strict=True):
        norms, qkv, proj, table, perceptron = 2 * 2 * n, 3 * (n + 1) * n, (n + 1) * n, 13**2 * heads, (8 * n + 5) * n
        stages += depth * (norms + qkv + proj + table + perceptron)
    by_hand = {level: embedding + merging + stages + sum(2 * n for n in c[level - 2 :]) for level in (3, 5)}
    assert by_hand[5] + 1000 * (c[3] + 1) == classifier
    model, images = Swin(options, 3, FLOAT32), jnp.zeros((1, 32, 32, 3))
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)
    assert count(shapes) == by_hand[3]


def test_parameter_counts_of_the_papers_detector():
    """Swin-B with C3 to C5, and the pyramid on it (spec 1.4 and 1.6)."""
    params = jax.eval_shape(partial(init_variables, Detector(ModelOptions(backbone=SWIN["base"]), 80), 0))["params"]
    assert {name: count(tree) for name, tree in params.items()} == {
        "backbone": 86_744_760,
        "neck": 3_409_920,
        "bbox_head": 4_918_618,
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"embed": 100, "heads": (3, 6, 12, 24)}, r"heads\[0\] is 3, which does not divide the 100 channels"),
        ({"heads": (3, 0, 12, 24)}, r"heads\[1\] is 0"),
        ({"window": 0}, "window is 0; it must be at least 1"),
        ({"depths": (2, 2, 0, 2)}, r"depths is \(2, 2, 0, 2\); each must be at least 1"),
        ({"drop_path": 1.0}, "drop_path is 1.0; it must be at least 0 and below 1"),
    ],
)
def test_impossible_options(change, words):
    with pytest.raises(ValueError, match=words):
        SwinOptions(**change)


def test_a_window_larger_than_the_finest_map():
    check_canvases([(64, 64), (32, 64)], replace(TINY, window=8), "config.model.backbone")
    message = r"config\.model\.backbone\.window is 9: .* 36 pixels .* canvas of 32x64\. .* at most 8\."
    with pytest.raises(InputError, match=message):
        check_canvases([(64, 64), (32, 64)], replace(TINY, window=9), "config.model.backbone")
