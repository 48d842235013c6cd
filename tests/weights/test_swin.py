"""Weights of Swin by the names of its authors, of timm and of mmdet: they compute what torch makes of them."""

import re
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lad_jax
from lad_jax.commands.convert import into_workdir
from lad_jax.errors import InputError
from lad_jax.models import Detector, ModelOptions, ResNetOptions, SwinOptions
from lad_jax.models.swin import Swin
from lad_jax.options import RunOptions
from lad_jax.run import checkpoint
from lad_jax.train.state import init_variables
from lad_jax.weights import load_backbone, load_networks, to_mmdet
from tests.golden import network
from tests.golden.network import group
from tests.weights.torchvision import state_dict as resnet

SIZES = SwinOptions(embed=4, depths=(1, 2, 1, 1), heads=(1, 2, 2, 4), window=4)
MODEL = Swin(SIZES, 2, jnp.dtype("float32"))


def original(seed=0, embed=4, depths=(1, 2, 1, 1), heads=(1, 2, 2, 4), window=4):
    """A classifier by its authors' names, as its own module tree would list them."""
    rng = np.random.default_rng(seed)
    arrays = {"patch_embed.proj.weight": rng.normal(0, 0.2, (embed, 3, 4, 4))}
    arrays["patch_embed.proj.bias"] = rng.normal(0, 0.2, embed)

    def linear(name, inputs, outputs, bias=True):
        arrays[f"{name}.weight"] = rng.normal(0, inputs**-0.5, (outputs, inputs))
        if bias:
            arrays[f"{name}.bias"] = rng.normal(0, 0.2, outputs)

    def norm(name, channels):
        arrays[f"{name}.weight"], arrays[f"{name}.bias"] = rng.normal(1, 0.2, channels), rng.normal(0, 0.2, channels)

    norm("patch_embed.norm", embed)
    for stage, depth in enumerate(depths):
        c = embed * 2**stage
        for block in range(depth):
            name = f"layers.{stage}.blocks.{block}"
            arrays[f"{name}.attn.relative_position_bias_table"] = rng.normal(
                0, 1, ((2 * window - 1) ** 2, heads[stage])
            )
            arrays[f"{name}.attn.relative_position_index"] = np.zeros((window**2, window**2))
            if block % 2:
                arrays[f"{name}.attn_mask"] = np.zeros((9, window**2, window**2))
            norm(f"{name}.norm1", c)
            linear(f"{name}.attn.qkv", c, 3 * c)
            linear(f"{name}.attn.proj", c, c)
            norm(f"{name}.norm2", c)
            linear(f"{name}.mlp.fc1", c, 4 * c)
            linear(f"{name}.mlp.fc2", 4 * c, c)
        if stage < 3:
            norm(f"layers.{stage}.downsample.norm", 4 * c)
            linear(f"layers.{stage}.downsample.reduction", 4 * c, 2 * c, bias=False)
    norm("norm", 8 * embed)
    linear("head", 8 * embed, 10)
    return {name: np.asarray(a, np.float32) for name, a in arrays.items()}


def timm(arrays):
    """The same as timm names it: merging belongs to the stage that follows."""
    later = lambda match: f"layers.{int(match[1]) + 1}.downsample"  # noqa: E731
    names = {name: re.sub(r"layers\.(\d)\.downsample", later, name).replace("head.", "head.fc.") for name in arrays}
    return {new: arrays[old] for old, new in names.items() if not old.endswith(("index", "mask"))}


def forward(torch, arrays, image):
    """C2 to C5 of one picture in torch from the authors' weights, normed without scale or bias (spec 1.4)."""
    w = {name: torch.from_numpy(a) for name, a in arrays.items()}
    functional, side = torch.nn.functional, SIZES.window

    def norm(x, name):
        return functional.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], 1e-5)

    def linear(x, name):
        return functional.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))

    def windows(x):
        height, width, channels = x.shape
        x = x.reshape(height // side, side, width // side, side, channels)
        return x.permute(0, 2, 1, 3, 4).reshape(-1, side * side, channels)

    def attention(x, name, heads, shift):
        height, width, channels = x.shape
        x = torch.roll(functional.pad(x, (0, 0, 0, -width % side, 0, -height % side)), (-shift, -shift), (0, 1))
        label = torch.zeros(*x.shape[:2], 1)
        for border in (-side, -shift) if shift else ():
            label[border:] += 1
            label[:, border:] += 10
        label = windows(label)[..., 0]
        apart = label[:, None, :, None] != label[:, None, None, :]
        qkv = linear(windows(x), f"{name}.qkv").reshape(-1, side**2, 3, heads, channels // heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        at = torch.arange(side)
        y, x_ = (g.reshape(-1) for g in torch.meshgrid(at, at, indexing="ij"))
        index = (y[:, None] - y + side - 1) * (2 * side - 1) + x_[:, None] - x_ + side - 1
        bias = w[f"{name}.relative_position_bias_table"][index].permute(2, 0, 1)
        logits = q @ k.transpose(-1, -2) * (channels // heads) ** -0.5 + bias - 100.0 * apart
        out = linear((logits.softmax(-1) @ v).transpose(1, 2).reshape(-1, side**2, channels), f"{name}.proj")
        out = out.reshape(x.shape[0] // side, x.shape[1] // side, side, side, channels).permute(0, 2, 1, 3, 4)
        return torch.roll(out.reshape(x.shape), (shift, shift), (0, 1))[:height, :width]

    x = functional.conv2d(torch.from_numpy(image), w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=4)
    x, maps = norm(x.permute(1, 2, 0), "patch_embed.norm"), []
    for stage in range(4):
        for block in range(SIZES.depths[stage]):
            name = f"layers.{stage}.blocks.{block}"
            shift = side // 2 if block % 2 else 0
            x = x + attention(norm(x, f"{name}.norm1"), f"{name}.attn", SIZES.heads[stage], shift)
            hidden = functional.gelu(linear(norm(x, f"{name}.norm2"), f"{name}.mlp.fc1"))
            x = x + linear(hidden, f"{name}.mlp.fc2")
        maps.append(functional.layer_norm(x, x.shape[-1:], eps=1e-5))
        if stage < 3:
            x = torch.cat([x[0::2, 0::2], x[1::2, 0::2], x[0::2, 1::2], x[1::2, 1::2]], -1)
            name = f"layers.{stage}.downsample"
            x = linear(norm(x, f"{name}.norm"), f"{name}.reduction")
    return maps


@pytest.fixture(scope="module")
def template():
    return jax.eval_shape(MODEL.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))


def assert_same(ours, theirs):
    jax.tree.map(np.testing.assert_array_equal, dict(ours), dict(theirs))


def test_the_authors_weights_compute_what_torch_makes_of_them(template, torch):
    arrays = original()
    variables = load_backbone(arrays, template, "swin.pth")
    image = np.random.default_rng(1).normal(0, 1, (64, 96, 3)).astype(np.float32)
    ours = jax.jit(MODEL.apply)(variables, image[None])
    for a, b in zip(ours, forward(torch, arrays, np.ascontiguousarray(image.transpose(2, 0, 1))), strict=True):
        np.testing.assert_allclose(a[0], b.numpy(), rtol=1e-3, atol=1e-4)


def test_timms_and_mmdets_names_give_the_same(template):
    expected = load_backbone(original(), template, "swin.pth")
    assert_same(load_backbone(timm(original()), template, "swin.safetensors"), expected)
    arrays = to_mmdet({"params": {"backbone": expected["params"], "bbox_head": {"atss_centerness": {}}}})
    bare = {name.removeprefix("backbone."): array for name, array in arrays.items()}
    assert_same(load_backbone(bare, template, "swin.npz"), expected)


def test_norms_of_the_maps(template):
    """Those of a detector are taken; what a classifier has not, begins as it does from scratch."""
    classifier = load_backbone(original(), template, "swin.pth")["params"]
    for i in range(4):
        assert (classifier[f"norm{i}"]["scale"] == 1).all() and (classifier[f"norm{i}"]["bias"] == 0).all()
    own = original() | {"norm2.weight": np.full(16, 3, np.float32), "norm2.bias": np.full(16, 4, np.float32)}
    norm = load_backbone(own, template, "swin.pth")["params"]["norm2"]
    assert (norm["scale"] == 3).all() and (norm["bias"] == 4).all()


def test_every_other_misfit_is_listed(template):
    arrays = original(depths=(1, 2, 1, 2))
    del arrays["layers.0.blocks.0.norm1.bias"], arrays["layers.1.downsample.norm.weight"]
    arrays["absolute_pos_embed"] = np.zeros((1, 49, 4), np.float32)
    with pytest.raises(InputError) as caught:
        load_backbone(arrays, template, "some.pth")
    message = str(caught.value)
    assert "set config.model.backbone.depths=(1, 2, 1, 2) (now (1, 2, 1, 1))" in message
    assert "missing: stages.0.blocks.0.norm1.bias" in message
    assert "missing: stages.1.downsample.norm.weight" in message
    assert "unexpected: absolute_pos_embed" in message
    assert "unexpected: stages.3.blocks.1.attn.w_msa.qkv.weight" in message


@pytest.mark.parametrize(
    ("arrays", "advice"),
    [
        (original(embed=8), ["embed=8 (now 4)"]),
        (original(window=3), ["window=3 (now 4)"]),
        (original(heads=(2, 2, 4, 4)), ["heads=(2, 2, 4, 4) (now (1, 2, 2, 4))"]),
        (
            resnet(),
            [
                *("family='resnet' (now 'swin')", "depth=18", "norm='frozen_batch'", "deformable_stages=()"),
                *("width=4", "groups=1"),
            ],
        ),
    ],
)
def test_other_networks(arrays, advice, template):
    with pytest.raises(InputError) as caught:
        load_backbone(arrays, template, "some.pth")
    assert re.findall(r"set config\.model\.backbone\.(.*)", str(caught.value)) == advice


def test_a_swin_where_a_resnet_is_wanted():
    model = Detector(ModelOptions(backbone=ResNetOptions(depth=10, width=4)), 3)
    template = jax.eval_shape(partial(init_variables, model, 0))
    with pytest.raises(InputError) as caught:
        load_backbone(original(), {key: tree["backbone"] for key, tree in template.items()}, "some.pth")
    assert re.findall(r"set config\.model\.backbone\.(.*)", str(caught.value)) == [
        "family='swin' (now 'resnet')",
        *("depths=(1, 2, 1, 1)", "embed=4", "heads=(1, 2, 2, 4)", "window=4"),
    ]


def test_a_detector_there_and_back(golden, caplog):
    """The reference's backbone and pyramid, with the head of another; it has the norm of a map that nothing takes."""
    weights = group(network.load(golden / "backbone_swin.npz"), "weights")
    head = group(network.load(golden / "paa_r18.npz"), "weights")
    weights |= {name: a for name, a in head.items() if name.startswith("bbox_head.")}
    backbone = replace(SIZES, embed=8, depths=(2, 2, 4, 2), heads=(1, 2, 4, 8), window=7)
    model = Detector(ModelOptions(backbone=backbone, channels=32, norm_groups=8), 7)
    template = {"student": jax.eval_shape(partial(init_variables, model, 0))}
    variables = load_networks(weights, template, ["student"], "w", RunOptions().key_of)["student"]
    assert "left out backbone.norm0.weight" in caplog.text
    assert_same(to_mmdet(variables), {name: a for name, a in weights.items() if ".norm0." not in name})


def test_a_classifier_as_a_checkpoint(tmp_path):
    """From a file to a workdir, and as a teacher of it; how it was trained makes no difference to that."""
    np.savez(tmp_path / "swin.npz", **original())
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    options = RunOptions(model=ModelOptions(backbone=SIZES, channels=8, tower_convs=1, norm_groups=2, n_levels=3))
    into_workdir(tmp_path / "swin.npz", options, tmp_path / "run", str(tmp_path / "classes.txt"))
    assert lad_jax.load(tmp_path / "run").options.model == options.model
    teacher = replace(options.model, backbone=replace(SIZES, drop_path=0.0, remat=True))
    names = ("cat", "dog")
    found = checkpoint.load_network(tmp_path / "run", "student", Detector(teacher, 2), names, "config.teacher.model")
    ours, name = to_mmdet(found), "stages.2.downsample.reduction.weight"
    expected = original()["layers.2.downsample.reduction.weight"].reshape(32, 2, 2, 16)
    np.testing.assert_array_equal(ours[f"backbone.{name}"].reshape(32, 16, 2, 2), expected.transpose(0, 3, 2, 1))
