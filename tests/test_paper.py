"""The paper's rows: docs/paper.md, the configs, their names and their docstrings say the same."""

import ast
import functools
import importlib
import re
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from configs import paper
from lad_jax.config import from_config
from lad_jax.distill import METHODS
from lad_jax.models import Detector, ModelOptions
from lad_jax.options import RunOptions
from tests.paper_rows import NAMES, ROWS, Row

ROOT = Path(__file__).parents[1]
SCHEDULES = {"1x": (12, (8, 11)), "1.5x": (18, (12, 16)), "2x": (24, (16, 22)), "3x": (36, (28, 34))}
SWINS = (36, (27, 33))
"""Epochs and decay epochs: the paper's, mmdetection's for 1.5x and 3x, Swin's own."""
BACKBONES = {
    "r18": ("resnet", 18, 1),
    "r50": ("resnet", 50, 1),
    "r101": ("resnet", 101, 1),
    "x101": ("resnet", 101, 64),
    "swinb": ("swin", (2, 2, 18, 2), 128),
}
"""Family, and what tells its sizes apart."""
WEIGHTS = {
    "r18": "resnet18.tv_in1k",
    "r50": "resnet50.tv_in1k",
    "r101": "resnet101.tv_in1k",
    "x101": "resnext101_64x4d.gluon_in1k",
    "swinb": "swin_base_patch4_window7_224.ms_in1k",
}
PICTURES = {"paa": 2, "soft_label": 8, "lad": 8, "solad": 8, "colad": 4, "dynamic_lad": 0}
"""By how many a loss is normalised in the released configs of a method (spec 9.2)."""


@functools.cache
def options_of(name: str, *variant: str) -> RunOptions:
    return from_config(RunOptions, importlib.import_module(f"configs.{name}").get_config(*variant))


@functools.cache
def _parameters(model: ModelOptions) -> int:
    images, hw = jnp.zeros((1, 64, 64, 3), jnp.uint8), jnp.full((1, 2), 64)
    variables = jax.eval_shape(Detector(model, 80).init, jax.random.key(0), images, hw)
    return sum(x.size for x in jax.tree.leaves(variables["params"]))


def parameters(model: ModelOptions) -> int:
    """Their number, of a network for COCO's classes: by its shapes alone, each network once."""
    return _parameters(replace(model, backbone=replace(model.backbone, pretrained="")))


def teachers(name: str) -> list[str]:
    """The configs that have to be run before, the last one first."""
    teacher = options_of(name).teacher.config
    return [Path(teacher).stem, *teachers(Path(teacher).stem)] if teacher else []


def test_schedules() -> None:
    """Also that which no row has."""
    assert paper.SCHEDULES == SCHEDULES


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.table}: {row.title}")
def test_row_and_config_agree(row: Row) -> None:
    options = options_of(row.config)
    assert row.network in options.roles.trained
    assert row.teachers == tuple(teachers(row.config))
    assert parameters(options.model_of(row.network)) == row.parameters
    docstring = ast.get_docstring(ast.parse((ROOT / f"configs/{row.config}.py").read_text())).splitlines()
    assert row.result in docstring
    assert f"    python main.py --config=configs/{row.config}.py --workdir=runs/{row.config}" in docstring
    if row.teachers:
        assert f"    python -m lad_jax recipe configs/{row.config}.py --run" in docstring
        assert f"Teacher: configs/{row.teachers[0]}.py" in docstring


def test_no_docstring_has_another_row() -> None:
    for name in NAMES:
        docstring = ast.get_docstring(ast.parse((ROOT / f"configs/{name}.py").read_text()))
        told = re.findall(r"^(?:Table \d|Appendix), .*", docstring, re.MULTILINE)
        assert sorted(told) == sorted({row.result for row in ROWS if row.config == name}), name


@pytest.mark.parametrize("name", NAMES)
def test_the_name_says_what_it_is(name: str) -> None:
    """Method, head, student and teacher, each with what is special, several scales, schedule."""
    options, (*_, schedule) = options_of(name), name.split("_")
    student, *others = re.findall(r"(r18|r50|r101|x101|swinb)(dcn)?(cop)?(?:p(\dx))?_", name)
    assert options.method == max((method for method in METHODS if name.startswith(method)), key=len)
    for model, (family, deformable, *_) in zip(
        (options.model, options.teacher.model), (student, *others), strict=False
    ):
        backbone = model.backbone
        swin = backbone.family == "swin"
        size = (backbone.depths, backbone.embed) if swin else (backbone.depth, backbone.groups)
        assert (backbone.family, *size) == BACKBONES[family]
        assert backbone.pretrained == f"hf://timm/{WEIGHTS[family]}/model.safetensors"
        assert swin or backbone.deformable_stages == ((3, 4) if deformable else ())
        assert model.deformable_towers == bool(deformable)
    cop = "cop" in student or "_cop_" in name
    assert options.model.objectness == ("conditional" if cop else "implicit" if "_iop_" in name else "none")
    assert options.model.iou_branch == ("_noiou_" not in name)
    if options.method == "colad":
        before = [trained for *_, trained in others if trained]
        assert [teacher.split("_")[-1] for teacher in teachers(name)] == before
    epochs, decay = SWINS if "swinb" in student else SCHEDULES[schedule]
    assert (options.train.epochs, options.optimizer.decay_epochs) == (epochs, decay)
    assert bool(options.data.short_sides) == ("_ms_" in name)
    assert options.switch.criterion == ("fisher" if "_fisher_" in name else "std_over_mean")


@pytest.mark.parametrize("name", NAMES)
def test_recipe_of_the_references(name: str) -> None:
    """Spec 9.1 to 9.3: optimiser, short sides, and what losses are divided by sums over."""
    options = options_of(name)
    optimizer, data, swin = options.optimizer, options.data, options.model.backbone.family == "swin"
    update = (optimizer.kind, optimizer.learning_rate, optimizer.weight_decay, optimizer.no_decay)
    no_decay = ("relative_position_bias_table", "norm")
    assert update == (("adamw", 1e-4, 0.05, no_decay) if swin else ("sgd", 0.01, 1e-4, ()))
    assert (options.train.batch_size, optimizer.scale_learning_rate, optimizer.clip_norm) == (16, True, 0.0)
    sides = range(480, 801, 32) if swin else range(640, 801) if "_ms_" in name else ()
    assert data.short_sides == tuple(sides)
    assert (data.crop, data.crop_short_sides, data.crop_range) == (0.5 * swin, (400, 500, 600), (384, 600))
    original = name in ("paa_r101_ms_2x", "paa_x101_ms_2x", "paa_x101dcn_ms_2x")
    authors = name.startswith(("paa_r18", "paa_cop_", "paa_iop_"))
    pictures = 0 if original else 8 if authors else PICTURES[options.method]
    assert options.losses.normaliser_pictures == pictures


def test_a_teacher_is_the_network_that_its_config_trains() -> None:
    taught = [options_of(name) for name in NAMES if options_of(name).teacher.config]
    assert len(taught) > 20
    for options in taught:
        teacher = Path(options.teacher.config).stem
        assert teacher in NAMES and options.teacher.path == f"runs/{teacher}"
        assert options.teacher.model == options_of(teacher).model_of(options.teacher.network)


@pytest.mark.parametrize(
    ("row", "divergence", "gamma", "min_iou", "warmup"),
    [
        ("soft_label_kl0_r50_r101_1x", "kl", 0.0, 0.1, 3000),
        ("soft_label_kl05_r50_r101_1x", "kl", 0.5, 0.1, 3000),
        ("soft_label_kl2_r50_r101_1x", "kl", 2.0, 0.1, 500),
        ("soft_label_l1_r50_r101_1x", "l1", 0.5, 0.1, 3000),
        ("soft_label_l2_r50_r101_1x", "l2", 0.5, 0.1, 500),
        ("soft_label_r101_r50_1x", "kl", 0.5, 0.1, 3000),
        ("solad_r50_r101_1x", "kl", 0.5, 0.5, 500),
    ],
)
def test_soft_labels_of_the_paper(row: str, divergence: str, gamma: float, min_iou: float, warmup: int) -> None:
    """Tables 2 and 3: the paper's warm-up, the released code's least IoU and weights (spec 7.3)."""
    options = options_of(row)
    soft = options.soft
    assert (soft.divergence, soft.gamma, soft.min_iou) == (divergence, gamma, min_iou)
    weights = (2.0 if options.method == "solad" else 10.0, 10.0, 1.3)
    assert (soft.class_weight, soft.quality_weight, soft.box_weight) == weights
    assert options.optimizer.warmup_steps == warmup


def test_only_the_end_of_a_run_is_evaluated() -> None:
    for name in NAMES:
        train = options_of(name).train
        assert train.eval_every == train.epochs, name


@pytest.mark.parametrize("name", NAMES)
def test_narrow_row_is_the_row_but_small(name: str) -> None:
    row, narrow = options_of(name), options_of("narrow", name)
    assert (narrow.method, narrow.switch, narrow.solad, narrow.losses) == (
        row.method,
        row.switch,
        row.solad,
        row.losses,
    )
    for network in row.roles.networks:
        wide, slim = row.model_of(network), narrow.model_of(network)
        for key in ("objectness", "iou_branch", "deformable_towers", "extra_levels"):
            assert getattr(slim, key) == getattr(wide, key)
        assert slim.backbone.family == wide.backbone.family
        if wide.backbone.family == "resnet":
            assert slim.backbone.deformable_stages == wide.backbone.deformable_stages
            assert (slim.backbone.groups > 1) == (wide.backbone.groups > 1)
