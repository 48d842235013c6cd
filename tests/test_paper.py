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
    assert row.network in options.policy.trained
    assert row.teachers == tuple(teachers(row.config))
    assert parameters(options.model_of(row.network)) == row.parameters
    docstring = ast.get_docstring(ast.parse((ROOT / f"configs/{row.config}.py").read_text())).splitlines()
    assert row.result in docstring
    assert f"    python main.py --config=configs/{row.config}.py --workdir=runs/{row.config}" in docstring
    if row.teachers:
        assert f"    python -m lad_jax.recipe configs/{row.config}.py --run" in docstring
        assert f"Teacher: configs/{row.teachers[0]}.py" in docstring


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
    """Tables 2 and 3: the paper's warm-up, the released code's least IoU."""
    options = options_of(row)
    soft = options.soft
    assert (soft.divergence, soft.gamma, soft.min_iou) == (divergence, gamma, min_iou)
    assert options.optimizer.warmup_steps == warmup


@pytest.mark.parametrize("name", NAMES)
def test_only_the_end_of_a_run_is_evaluated(name: str) -> None:
    train = options_of(name).train
    assert train.eval_every == train.epochs


@pytest.mark.parametrize("name", NAMES)
def test_narrow_row_is_the_row_but_small(name: str) -> None:
    row, narrow = options_of(name), options_of("narrow", name)
    assert (narrow.method, narrow.switch, narrow.solad, narrow.losses) == (
        row.method,
        row.switch,
        row.solad,
        row.losses,
    )
    for network in row.policy.networks:
        wide, slim = row.model_of(network), narrow.model_of(network)
        for key in ("objectness", "iou_branch", "deformable_towers", "extra_levels"):
            assert getattr(slim, key) == getattr(wide, key)
        assert slim.backbone.family == wide.backbone.family
        if wide.backbone.family == "resnet":
            assert slim.backbone.deformable_stages == wide.backbone.deformable_stages
            assert (slim.backbone.groups > 1) == (wide.backbone.groups > 1)
