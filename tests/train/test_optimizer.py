"""SGD, AdamW and the schedule against torch, and twins of what torch and mmcv do (spec 9.1 and 9.3)."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.config import from_config
from lad_jax.errors import InputError
from lad_jax.models import ModelOptions, ResNetOptions, SwinOptions
from lad_jax.train.optimizer import OptimizerOptions, PartOptions, decay_steps, make_optimizer, make_schedule


@pytest.mark.parametrize("batch_size", [16, 4])
def test_schedule_equals_mmcvs(batch_size):
    """mmcv 1.x: lr·(1 - (1 - t/500)·0.999) while t < 500, and ×0.1 from the first step after epochs 8 and 11."""
    steps = 90
    schedule = make_schedule(OptimizerOptions(), batch_size=batch_size, epochs=12, steps_per_epoch=steps)
    peak = 0.01 * batch_size / 16
    for t in [0, 1, 250, 499, 500, 719, 720, 989, 990, 1079]:
        epoch = t // steps
        expected = peak * 0.1 ** ((epoch >= 8) + (epoch >= 11))
        if t < 500:
            expected *= 1 - (1 - t / 500) * (1 - 0.001)
        np.testing.assert_allclose(schedule(t), expected, rtol=1e-4, err_msg=str(t))


def test_schedule_without_warm_up_or_scaling():
    options = OptimizerOptions(warmup_steps=0, scale_learning_rate=False, decay_epochs=(1,))
    schedule = make_schedule(options, batch_size=4, epochs=12, steps_per_epoch=10)
    np.testing.assert_allclose([schedule(0), schedule(9), schedule(10)], [0.01, 0.01, 0.001], rtol=1e-6)


@pytest.mark.parametrize(
    ("decay_epochs", "epochs", "steps_per_epoch", "expected"),
    [
        ((8, 11), 12, 7, [56, 77]),
        ((8, 11), 24, 7, [56, 77]),
        ((0.25, 0.5, 0.75), 8, 3, [6, 12, 18]),
        ((0.5,), 1, 5, [3]),  # half a step is rounded up
        ((0.3, 0.31), 1, 10, [3, 3]),
        ((), 12, 7, []),
    ],
)
def test_steps_of_epochs_and_of_shares(decay_epochs, epochs, steps_per_epoch, expected):
    assert decay_steps(decay_epochs, epochs=epochs, steps_per_epoch=steps_per_epoch) == expected


@pytest.mark.parametrize("steps_per_epoch", [1, 7, 133, 7330])
def test_the_default_scales_the_papers_schedule(steps_per_epoch):
    """8 and 11 of 12 epochs, 16 and 22 of 24, 32 and 44 of 48, to the step."""
    shares = OptimizerOptions().decay_epochs
    for times in (1, 2, 4):
        epochs = (8 * times, 11 * times)
        size = {"epochs": 12 * times, "steps_per_epoch": steps_per_epoch}
        assert decay_steps(shares, **size) == decay_steps(epochs, **size)


def test_shares_that_fall_on_one_step_all_count():
    options = OptimizerOptions(warmup_steps=0, decay_epochs=(0.3, 0.31, 0.6))
    schedule = make_schedule(options, batch_size=16, epochs=1, steps_per_epoch=10)
    np.testing.assert_allclose([schedule(t) for t in (2, 3, 5, 6)], [1e-2, 1e-4, 1e-4, 1e-5], rtol=1e-6)


def test_a_cosine_falls_to_nothing_at_the_end():
    """lr · (1 + cos πt/T) / 2, times the warm-up as of the steps; `decay_epochs` do not count."""
    options = OptimizerOptions(schedule="cosine", warmup_steps=4, warmup_factor=0.2, decay_epochs=(50,))
    schedule = make_schedule(options, batch_size=16, epochs=3, steps_per_epoch=10)
    for t in range(31):
        warmup = 0.2 + 0.8 * min(t, 4) / 4
        expected = 0.01 * warmup * (1 + np.cos(np.pi * t / 30)) / 2
        np.testing.assert_allclose(schedule(t), expected, rtol=1e-4, atol=1e-9, err_msg=str(t))


FROZEN = ("conv1", "bn1", "layer1_0")


def tree(seed):
    """Params by the network's names: frozen and trained stages, affine maps of norms, neck and head."""
    rng = np.random.default_rng(seed)
    module = lambda: {"kernel": rng.normal(size=(3, 2)), "bias": rng.normal(size=2)}  # noqa: E731
    norm = lambda: {"scale": rng.normal(size=2), "bias": rng.normal(size=2)}  # noqa: E731
    backbone = {"conv1": module(), "bn1": norm(), "layer1_0": {"bn1": norm()}, "layer2_0": {"bn1": norm()}}
    params = {"backbone": backbone, "neck": {"fpn_convs_0": module()}, "bbox_head": {"gn": norm(), "scales_0": 1.0}}
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), {"student": params})


@pytest.mark.parametrize("clip_norm", [0.0, 0.5])
def test_three_steps_equal_torchs_sgd(clip_norm):
    """g + wd·w into the momentum buffer, the learning rate applied after; frozen stages never move."""
    rates, decay, momentum = (0.1, 0.2, 0.05), 0.03, 0.9
    options = OptimizerOptions(weight_decay=decay, momentum=momentum, clip_norm=clip_norm)
    models = {"student": ModelOptions(backbone=ResNetOptions(frozen_stages=1))}
    optimizer = make_optimizer(options, lambda t: jnp.array(rates)[t], models)
    params = tree(0)
    state = optimizer.init(params)
    twin = {jax.tree_util.keystr(k): np.asarray(v, np.float64) for k, v in jax.tree.leaves_with_path(params)}
    start, buffer = dict(twin), dict.fromkeys(twin, 0.0)
    for t, rate in enumerate(rates):
        gradients = tree(t + 1)
        # The networks cut the gradient of frozen stages; here only the optimiser keeps them where they are.
        named = {jax.tree_util.keystr(k): np.asarray(v, np.float64) for k, v in jax.tree.leaves_with_path(gradients)}
        named = {n: g for n, g in named.items() if not any(f"'{module}'" in n.split("]")[2] for module in FROZEN)}
        norm = np.sqrt(sum((g**2).sum() for g in named.values()))
        factor = min(1, clip_norm / norm) if clip_norm else 1
        updates, state = optimizer.update(gradients, state, params)
        params = jax.tree.map(jnp.add, params, updates)
        for name, g in named.items():
            buffer[name] = momentum * buffer[name] + factor * g + decay * twin[name]
            twin[name] = twin[name] - rate * buffer[name]
    for path, value in jax.tree.leaves_with_path(params):
        name = jax.tree_util.keystr(path)
        np.testing.assert_allclose(value, twin[name], rtol=2e-5, atol=1e-6, err_msg=name)
        frozen = "backbone" in name and any(f"['backbone']['{module}']" in name for module in FROZEN)
        assert (value == jnp.asarray(start[name], jnp.float32)).all() == frozen, name


def test_frozen_parameters_need_no_momentum():
    models = {"student": ModelOptions(backbone=ResNetOptions(frozen_stages=1))}
    state = make_optimizer(OptimizerOptions(), lambda _: 0.1, models).init(tree(0))
    held = sum(np.size(x) for x in jax.tree.leaves(state))
    frozen = sum(x.size for m in FROZEN for x in jax.tree.leaves(tree(0)["student"]["backbone"][m]))
    total = sum(x.size for x in jax.tree.leaves(tree(0)))
    assert total - frozen <= held <= total - frozen + 2  # and counters


NO_DECAY = ("absolute_pos_embed", "relative_position_bias_table", "norm")


def swin_tree(seed):
    """Params by our names, of each kind that the Swin recipe tells apart."""
    rng = np.random.default_rng(seed)
    module = lambda *leaves: {leaf: jnp.asarray(rng.normal(size=(2, 2)), jnp.float32) for leaf in leaves}  # noqa: E731
    attention = {"qkv": module("kernel", "bias"), **module("relative_position_bias_table")}
    block = {"attn": {"w_msa": attention}, "norm1": module("scale", "bias")}
    backbone = {"patch_embed": {"norm": module("scale", "bias")}, "stages_0_blocks_0": block, "norm1": module("scale")}
    head = {"cls_convs_0_gn": module("scale", "bias"), "atss_cls": module("kernel", "bias"), **module("scales_0")}
    return {"student": {"backbone": backbone, "neck": {"fpn_convs_0": module("kernel", "bias")}, "bbox_head": head}}


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_three_steps_without_decay_of_norms_equal_torchs(kind, torch):
    """Layer norms and tables of position biases have no decay; the head's group norms and all biases have."""
    rates, decay = (0.1, 0.2, 0.05), 0.3
    options = OptimizerOptions(kind=kind, weight_decay=decay, no_decay=NO_DECAY, betas=(0.8, 0.95))
    models = {"student": ModelOptions(backbone=SwinOptions())}
    optimizer = make_optimizer(options, lambda t: jnp.array(rates)[t], models)
    params = swin_tree(0)
    state = optimizer.init(params)

    def by_name(tree):
        return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree.leaves_with_path(tree)}

    twin = {name: torch.tensor(array, requires_grad=True) for name, array in by_name(params).items()}
    exempt = {name for name in twin if "norm" in name or "position_bias" in name}
    assert len(exempt) == 6 and len(twin) == 15
    groups = [
        {"params": [twin[name] for name in twin if name in exempt], "weight_decay": 0.0},
        {"params": [twin[name] for name in twin if name not in exempt], "weight_decay": decay},
    ]
    if kind == "adamw":
        theirs = torch.optim.AdamW(groups, betas=options.betas)
    else:
        theirs = torch.optim.SGD(groups, lr=1.0, momentum=options.momentum)
    for t, rate in enumerate(rates):
        gradients = swin_tree(t + 1)
        for name, gradient in by_name(gradients).items():
            twin[name].grad = torch.tensor(gradient)
        for group in theirs.param_groups:
            group["lr"] = rate
        theirs.step()
        updates, state = optimizer.update(gradients, state, params)
        params = jax.tree.map(jnp.add, params, updates)
    for name, ours in by_name(params).items():
        np.testing.assert_allclose(ours, twin[name].detach().numpy(), rtol=2e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    "change",
    [{"momentum": 1.5}, {"ema_decay": -0.1}, {"learning_rate": -1.0}, {"decay_factor": 1.5}, {"betas": (0.9, 1.0)}],
)
def test_impossible_options(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        OptimizerOptions(**change)


def test_each_network_is_clipped_by_its_own_gradient():
    """Two networks that learn together: a large gradient of one leaves the other's step alone."""
    options = OptimizerOptions(clip_norm=1.0, weight_decay=0.0, momentum=0.0)
    models = dict.fromkeys(("student", "teacher"), ModelOptions(backbone=ResNetOptions(frozen_stages=-1)))
    optimizer = make_optimizer(options, lambda _: 1.0, models)
    params = {name: {"neck": {"kernel": jnp.zeros(2)}} for name in models}
    gradients = {
        "student": {"neck": {"kernel": jnp.array([0.3, 0.4])}},
        "teacher": {"neck": {"kernel": jnp.array([30.0, 40.0])}},
    }
    updates, _ = optimizer.update(gradients, optimizer.init(params), params)
    np.testing.assert_allclose(updates["student"]["neck"]["kernel"], [-0.3, -0.4], rtol=1e-6)
    np.testing.assert_allclose(updates["teacher"]["neck"]["kernel"], [-0.6, -0.8], rtol=1e-6)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_a_run_can_be_resumed_with_clipping(kind):
    options = [OptimizerOptions(kind=kind, clip_norm=clip_norm) for clip_norm in (0.0, 1.0)]
    states = [make_optimizer(o, lambda _: 1.0, {"student": ModelOptions()}).init(tree(0)) for o in options]
    assert jax.tree.structure(states[0]) == jax.tree.structure(states[1])


PARTS = ("backbone", "neck", "head", "classifier")


def parts_tree(seed):
    """Params of every part; frozen stages are in the backbone."""
    params = tree(seed)["student"]
    classifier = {"kernel": jnp.full((3, 2), seed + 0.5), "bias": jnp.full(2, seed - 0.3)}
    return {"student": {**params, "bbox_head": {"gn": params["bbox_head"]["gn"], "atss_cls": classifier}}}


def part(params, name):
    """All values of a part, as one vector."""
    head = params["bbox_head"]
    leaves = {"head": head["gn"], "classifier": head["atss_cls"]}.get(name) or params[name]
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(leaves)])


def make_pair(kind, factors, frozen_stages):
    """An optimiser with factors of parts, and the same without."""
    options = OptimizerOptions(kind=kind, clip_norm=0.5, weight_decay=0.1, lr_factors=PartOptions(**factors))
    models = {"student": ModelOptions(backbone=ResNetOptions(frozen_stages=frozen_stages))}
    both = (options, replace(options, lr_factors=PartOptions()))
    return [make_optimizer(o, lambda _: 0.1, models) for o in both]


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_a_factor_scales_the_steps_of_its_part_alone(kind):
    """As with torch's groups: decay's and momentum's share too, while all parts are clipped together."""
    factors, params = {"backbone": 0.1, "neck": 0.5, "head": 2.0}, parts_tree(0)
    ours, plain = make_pair(kind, factors, frozen_stages=1)
    states = [ours.init(params), plain.init(params)]
    for t in range(3):
        gradients = parts_tree(t + 1)
        updates, states[0] = ours.update(gradients, states[0], params)
        unscaled, states[1] = plain.update(gradients, states[1], params)
        for name in PARTS:
            expected = np.float32(factors.get(name, 1)) * part(unscaled["student"], name)
            np.testing.assert_array_equal(part(updates["student"], name), expected, err_msg=name)
        params = jax.tree.map(jnp.add, params, updates)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize("frozen", [("backbone",), ("backbone", "neck", "head"), ("classifier",)])
def test_a_part_of_factor_0_stays_as_it_is_and_has_no_momentum(frozen, kind):
    params = parts_tree(0)
    optimizer, _ = make_pair(kind, dict.fromkeys(frozen, 0.0), frozen_stages=-1)
    state = optimizer.init(params)
    held = sum(np.size(x) for x in jax.tree.leaves(state))
    buffers = {"sgd": 1, "adamw": 2}[kind] * sum(part(params["student"], n).size for n in PARTS if n not in frozen)
    assert buffers <= held <= buffers + 2  # and counters
    for t in range(3):
        updates, state = optimizer.update(parts_tree(t + 1), state, params)
        params = jax.tree.map(jnp.add, params, updates)
    for name in PARTS:
        changed = part(params["student"], name) != part(parts_tree(0)["student"], name)
        assert not changed.any() if name in frozen else changed.all(), name


def test_a_frozen_part_has_no_share_in_the_norm_that_is_clipped():
    """The rest moves as if the frozen part were not there."""
    models = {"student": ModelOptions(backbone=ResNetOptions(frozen_stages=-1))}
    options = OptimizerOptions(clip_norm=1.0, weight_decay=0.0, momentum=0.0, lr_factors=PartOptions(neck=0.0))
    optimizer = make_optimizer(options, lambda _: 1.0, models)
    params = {"student": {"neck": {"kernel": jnp.zeros(2)}, "bbox_head": {"atss_cls": {"kernel": jnp.zeros(2)}}}}
    gradients = jax.tree.map(lambda _: jnp.array([0.3, 0.4]), params)
    gradients["student"]["neck"]["kernel"] = jnp.array([30.0, 40.0])
    updates, _ = optimizer.update(gradients, optimizer.init(params), params)
    np.testing.assert_allclose(updates["student"]["bbox_head"]["atss_cls"]["kernel"], [-0.3, -0.4], rtol=1e-6)


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({"neck": -1.0}, r"config\.lr_factors: neck is -1\.0; it must be at least 0"),
        ({"stem": 0.1}, r"unknown config key config\.lr_factors\.stem.*: backbone, neck, head, classifier"),
        (dict.fromkeys(PARTS, 0.0), r"config\.lr_factors: all parts have the factor 0"),
    ],
)
def test_factors_that_mean_nothing(factors, message):
    with pytest.raises(InputError, match=message):
        from_config(OptimizerOptions, {"lr_factors": factors})
