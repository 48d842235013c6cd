"""State dicts of detectors as variables, and back: the reference's own weights."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

from lad_jax.errors import InputError
from lad_jax.models import Detector, ResNetOptions
from lad_jax.options import RunOptions
from lad_jax.train.state import init_variables
from lad_jax.weights import load_arrays, load_networks, save_arrays, to_mmdet
from lad_jax.weights.state_dicts import prefix_of
from tests.golden import network
from tests.golden.network import group


def template(model: Detector):
    return jax.eval_shape(partial(init_variables, model, 0))


def assert_same(ours: Mapping, theirs: Mapping) -> None:
    jax.tree.map(np.testing.assert_array_equal, dict(ours), dict(theirs))


def without_counters(arrays: Mapping) -> dict:
    return {name: a for name, a in arrays.items() if not name.endswith("num_batches_tracked")}


@pytest.fixture(scope="module")
def r18(golden):
    """A PAA network of the reference: its weights, our model, and our variables from a literal rearrangement."""
    arrays = network.load(golden / "paa_r18.npz")
    return group(arrays, "weights"), *network.detector(arrays, "weights")


@pytest.fixture(scope="module")
def templates(r18):
    """For methods without a teacher."""
    return {"student": template(r18[1])}


def load(weights, templates):
    return load_networks(weights, templates, ["student"], "w", RunOptions().key_of)


def error_of(weights, templates, needed=("student",)) -> str:
    with pytest.raises(InputError) as caught:
        load_networks(weights, templates, needed, "some.pth", RunOptions().key_of)
    return str(caught.value)


def test_reference_to_ours_and_back(r18, templates) -> None:
    weights, _, expected = r18
    variables = load(weights, templates)["student"]
    assert_same(variables, expected)
    back = to_mmdet(variables)
    assert_same(without_counters(back), without_counters(weights))
    assert all(array.flags["C_CONTIGUOUS"] for array in back.values()), "as the writers of files need it"


@pytest.mark.parametrize("suffix", ["npz", "safetensors", "pth"])
def test_files_of_each_kind_give_the_same(suffix: str, r18, templates, tmp_path, request) -> None:
    if suffix == "pth":
        request.getfixturevalue("torch")
    save_arrays(tmp_path / f"w.{suffix}", r18[0], ("cat",))
    arrays = load_arrays(tmp_path / f"w.{suffix}")
    assert_same(load(arrays, templates)["student"], r18[2])


def test_ours_loads_strictly_in_torch(r18, torch) -> None:
    """Torch wants the counters of its batch norms too."""
    arrays = to_mmdet(r18[2])
    name = "backbone.layer2.1.bn2."
    layer = torch.nn.BatchNorm2d(len(arrays[f"{name}bias"]))
    own = {k.removeprefix(name): torch.from_numpy(a) for k, a in arrays.items() if k.startswith(name)}
    layer.load_state_dict(own, strict=True)
    assert int(layer.num_batches_tracked) == 0
    np.testing.assert_array_equal(layer.running_var.numpy(), r18[0][f"{name}running_var"])


@pytest.mark.parametrize("name", ["lad", "colad"])
def test_layout_of_the_papers_authors(name: str, golden) -> None:
    arrays = network.load(golden / f"{name}.npz")
    saved = {"kd_bbox_head.atss_cls.weight": np.zeros(3), "backbone.bn1.num_batches_tracked": np.array(3)}
    expected = {}
    for n in ("student", "teacher"):
        saved |= {prefix_of(n) + key: array for key, array in group(arrays, f"{n}_weights").items()}
        expected[n] = network.detector(arrays, f"{n}_weights")
    assert "teacher_bbox_head.atss_cls.weight" in saved
    both = {n: template(model) for n, (model, _) in expected.items()}
    found = load(saved, both)
    assert set(found) == {"student", "teacher"}
    for n, (_, variables) in expected.items():
        assert_same(found[n], variables)
    # A frozen teacher need not be there.
    alone = {key: array for key, array in saved.items() if not key.startswith("teacher_")}
    assert_same(load(alone, both), {"student": expected["student"][1]})


def test_heads_with_objectness(r18, golden) -> None:
    """Both heads, there and back; the reference's conditional one has a convolution that it never uses."""
    weights, model, _ = r18
    arrays = network.load(golden / "objectness.npz")
    unused = {
        "bbox_head.objectness.weight": weights["bbox_head.atss_centerness.weight"],
        "bbox_head.objectness.bias": weights["bbox_head.atss_centerness.bias"],
    }
    body = {key: array for key, array in weights.items() if not key.startswith("bbox_head.")}
    errors = {}
    for kind, name, extra in [("conditional", "cop", unused), ("implicit", "iop", {})]:
        saved = body | {f"bbox_head.{k}": a for k, a in group(arrays, f"{name}_weights").items()}
        shapes = template(Detector(replace(model.options, objectness=kind), model.n_classes))
        found = load(saved | extra, {"student": shapes})["student"]
        assert_same(without_counters(to_mmdet(found)), without_counters(saved))
        errors[kind] = error_of(saved | extra, {"student": template(model)})
        assert f"set config.model.objectness='none' (now '{kind}')" in error_of(weights, {"student": shapes})
    for kind, conv in [("conditional", "coeff_conv"), ("implicit", "obj_bias")]:
        assert f"set config.model.objectness='{kind}' (now 'none')" in errors[kind]
        assert f"unexpected: bbox_head.{conv}.weight" in errors[kind]


def test_an_iou_branch_is_left_out_only_of_heads_with_objectness(r18, golden, caplog) -> None:
    """There the reference keeps its convolution without using it, and the log says so; a plain head's is used."""
    weights, model, _ = r18
    body = {key: array for key, array in weights.items() if not key.startswith("bbox_head.")}
    head = group(network.load(golden / "objectness.npz"), "iop_weights")
    implicit = replace(model.options, objectness="implicit", iou_branch=False)
    shapes = {"student": template(Detector(implicit, model.n_classes))}
    found = load(body | {f"bbox_head.{k}": a for k, a in head.items()}, shapes)["student"]
    assert "atss_centerness" not in found["params"]["bbox_head"]
    assert "left out bbox_head.atss_centerness.weight" in caplog.text

    plain = template(Detector(replace(model.options, iou_branch=False), model.n_classes))
    message = error_of(weights, {"student": plain})
    assert "unexpected: bbox_head.atss_centerness.weight" in message
    assert "set config.model.iou_branch=True" in message


class TestDeformable:
    """A ResNeXt and towers with deformable convolutions, and extra levels from the backbone's map."""

    @pytest.fixture(scope="class")
    def model(self, r18) -> Detector:
        backbone = ResNetOptions(depth=50, width=4, groups=2, group_width=3, deformable_stages=(2, 3, 4))
        return Detector(replace(r18[1].options, backbone=backbone, deformable_towers=True, extra_levels="input"), 7)

    @pytest.fixture(scope="class")
    def shapes(self, model) -> dict:
        return {"student": template(model)}

    @pytest.fixture(scope="class")
    def weights(self, shapes) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(0)
        random = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), shapes["student"])
        return without_counters(to_mmdet(random))

    def test_names_and_layouts_are_mmdets(self, weights) -> None:
        assert {name: weights[name].shape for name in weights if "layer3.1.conv2" in name} == {
            "backbone.layer3.1.conv2.weight": (24, 12, 3, 3),
            "backbone.layer3.1.conv2.conv_offset.weight": (27, 24, 3, 3),
            "backbone.layer3.1.conv2.conv_offset.bias": (27,),
        }
        assert {name: weights[name].shape for name in weights if "reg_convs.3.conv" in name} == {
            "bbox_head.reg_convs.3.conv.weight": (32, 32, 3, 3),
            "bbox_head.reg_convs.3.conv.conv_offset.weight": (27, 32, 3, 3),
            "bbox_head.reg_convs.3.conv.conv_offset.bias": (27,),
        }
        assert weights["neck.fpn_convs.3.conv.weight"].shape == (32, 128, 3, 3)
        assert weights["neck.fpn_convs.4.conv.weight"].shape == (32, 32, 3, 3)

    def test_there_and_back_also_by_the_first_names(self, shapes, weights) -> None:
        first = {re.sub(r"(conv2|conv)\.conv_offset", r"\1_offset", name): array for name, array in weights.items()}
        assert {"backbone.layer2.0.conv2_offset.bias", "bbox_head.cls_convs.3.conv_offset.weight"} <= set(first)
        for source in (weights, first):
            variables = load(source, shapes)["student"]
            assert_same(without_counters(to_mmdet(variables)), weights)

    def test_offsets_of_a_detector_must_be_there(self, shapes, weights) -> None:
        plain = {name: array for name, array in weights.items() if "conv_offset" not in name}
        message = error_of(plain, shapes)
        assert "missing: backbone.layer2.0.conv2.conv_offset.weight" in message
        assert "set config.model.deformable_towers=False (now True)" in message

    def test_advice(self, model, weights) -> None:
        bare = replace(model.options, backbone=ResNetOptions(depth=50, width=4), deformable_towers=False)
        message = error_of(weights, {"student": template(Detector(replace(bare, extra_levels="output"), 7))})
        assert re.findall(r"set config\.model\.(.*)", message) == [
            "backbone.deformable_stages=(2, 3, 4) (now ())",
            "backbone.groups=2 (now 1)",
            "backbone.group_width=3",
            "extra_levels='input' (now 'output')",
            "deformable_towers=True (now False)",
        ]


class TestMisfits:
    """One message lists everything, and what to change where that can be told."""

    def test_several_at_once(self, r18, templates) -> None:
        weights = dict(r18[0])
        del weights["neck.fpn_convs.1.conv.bias"]
        weights["bbox_head.scales.0.scale"] = np.ones(1, np.float32)
        weights["bbox_head.reg_convs.0.gn.bias"] = np.array([np.nan] * 32, np.float32)
        weights["backbone.layer2.1.bn1.running_var"] = np.array([np.inf] * 16, np.float32)
        weights["ema_step"] = np.ones(1, np.float32)
        assert error_of(weights, templates).splitlines() == [
            "some.pth does not fit the config:",
            "  unexpected: ema_step",
            "  missing: neck.fpn_convs.1.conv.bias",
            "  shape of bbox_head.scales.0.scale: (1,), expected ()",
            "  not finite: backbone.layer2.1.bn1.running_var",
            "  not finite: bbox_head.reg_convs.0.gn.bias",
        ]

    def test_other_classes(self, r18) -> None:
        message = error_of(r18[0], {"student": template(Detector(r18[1].options, 80))})
        assert "it has 7 classes, and 80 are given: by --classes" in message
        assert "shape of bbox_head.atss_cls.weight: (7, 32, 3, 3), expected (80, 32, 3, 3)" in message
        assert "shape of bbox_head.atss_cls.bias: (7,), expected (80,)" in message

    @pytest.mark.parametrize(
        ("changes", "advice"),
        [
            ({"backbone.depth": 50}, ["backbone.depth=18 (now 50)"]),
            ({"backbone.width": 16}, ["backbone.width=8 (now 16)"]),
            ({"backbone.norm": "group", "backbone.norm_groups": 8}, ["backbone.norm='frozen_batch' (now 'group')"]),
            ({"tower_convs": 2, "channels": 64}, ["tower_convs=4 (now 2)", "channels=32 (now 64)"]),
            ({"first_level": 2, "n_levels": 4}, ["first_level=3 (now 2)", "n_levels=5 (now 4)"]),
        ],
    )
    def test_other_network(self, changes: dict, advice: list[str], r18) -> None:
        model = r18[1]
        of_backbone = {k.removeprefix("backbone."): v for k, v in changes.items() if k.startswith("backbone.")}
        rest = {k: v for k, v in changes.items() if not k.startswith("backbone.")}
        options = replace(model.options, backbone=replace(model.options.backbone, **of_backbone), **rest)
        message = error_of(r18[0], {"student": template(Detector(options, 7))})
        assert re.findall(r"set config\.model\.(.*)", message) == advice

    def test_teacher_that_no_one_asked_for(self, r18, templates) -> None:
        weights = r18[0] | {f"teacher_{name}": a for name, a in r18[0].items()}
        message = error_of(weights, templates)
        assert re.search(r"it has a teacher too: set config\.method to one that has .*'lad', .*'colad'", message)
        assert "unexpected: teacher_backbone.conv1.weight" in message

    def test_no_teacher_where_it_is_trained(self, r18, templates) -> None:
        both = {"student": templates["student"], "teacher": templates["student"]}
        message = error_of(r18[0], both, ("student", "teacher"))
        assert re.search(r"it has no teacher, which the config's method trains: .*'plain', .*'lad'", message)
        assert "missing: teacher_bbox_head.scales.4.scale" in message

    def test_key_of_the_teacher(self, r18, templates) -> None:
        weights = r18[0] | {f"teacher_{name}": a for name, a in r18[0].items()}
        deeper = replace(r18[1].options, backbone=replace(r18[1].options.backbone, depth=34))
        both = {"student": templates["student"], "teacher": template(Detector(deeper, 7))}
        message = error_of(weights, both)
        assert "set config.teacher.model.backbone.depth=18 (now 34)" in message
        assert "missing: teacher_backbone.layer1.2.conv1.weight" in message


def test_group_norm_has_no_names_in_mmdet(r18) -> None:
    options = replace(r18[1].options, backbone=replace(r18[1].options.backbone, norm="group", norm_groups=8))
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), template(Detector(options, 7)))
    with pytest.raises(InputError, match=r"group norms.*cannot be written for mmdet"):
        to_mmdet(variables)
