"""The rows of other assigners: they build, train by the recipe of their name, and have the published numbers."""

import csv
import functools
from pathlib import Path

import jax
import pytest
from flax.traverse_util import flatten_dict

from configs import assigners, narrow, paper
from configs.assigners import RECIPES, ROWS
from lad_jax.assign import ASSIGNERS
from lad_jax.config import from_config
from lad_jax.models import Detector
from lad_jax.options import RunOptions
from lad_jax.train.state import init_variables
from lad_jax.weights.names import reference_name, torch_shape
from tests.test_paper import paper_table


@functools.cache
def options_of(name: str) -> RunOptions:
    return from_config(RunOptions, assigners.get_config(name))


@pytest.mark.parametrize("name", ROWS)
def test_row_builds(name: str) -> None:
    """Its own networks, and those of its narrow twin, train as its name says."""
    row, options = ROWS[name], options_of(name)
    backbones = "_".join([row.student.lower(), *(["r101"] if row.teacher else [])])
    prefix = "lad_" if row.method == "lad" else ""
    assert name == f"{prefix}{row.recipe}_{backbones}_{row.schedule.replace(' ', '_')}"
    slim = from_config(RunOptions, narrow.get_config(name))
    for key in ("method", "assigner", "losses", "free_anchor"):
        assert getattr(slim, key) == getattr(options, key)
    assert slim.model.iou_branch == options.model.iou_branch
    assert slim.teacher.config == options.teacher.config.replace("assigners", "narrow")


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.teacher])
def test_a_teacher_has_the_recipe_of_its_student(name: str) -> None:
    row, options = ROWS[name], options_of(name)
    teacher = options_of(row.teacher)
    assert options.teacher.config == f"configs/assigners.py:{row.teacher}"
    assert options.teacher.model == teacher.model
    assert (options.assigner, options.losses) == (teacher.assigner, teacher.losses)


def test_every_assigner_has_a_row() -> None:
    assert {row.recipe for row in ROWS.values()} == set(RECIPES)
    by_assigner = {options_of(name).assigner.name for name, row in ROWS.items() if row.method == "plain"}
    assert by_assigner == set(ASSIGNERS) - {"paa"}
    assert not set(ROWS) & set(paper.ROWS), "configs/narrow.py takes either"


def test_numbers_are_the_published_ones(shared: Path) -> None:
    """Those on val of mmdet, and those on test-dev of the paper's Table 7."""
    with (shared / "zoo.csv").open() as file:
        zoo = {line["name"]: float(line["published_val_ap"]) for line in csv.DictReader(file) if line["kind"] == "atss"}
    assert zoo == {name: row.val for name, row in ROWS.items() if row.recipe == "atss" and row.val}
    table = paper_table("7", shared)
    for row in [row for row in ROWS.values() if row.test_dev]:
        assert f"\n{row.recipe.upper()}[" in table.split("\t".join(map(str, row.test_dev)))[0][-12:]


def test_mmdets_atss_has_the_same_head() -> None:
    """By the names and shapes in its checkpoints: what PAA's head has, whose files are tested."""
    towers = {
        f"{tower}_convs.{i}.{name}": shape
        for tower in ("cls", "reg")
        for i in range(4)
        for name, shape in {"conv.weight": (256, 256, 3, 3), "gn.weight": (256,), "gn.bias": (256,)}.items()
    }
    outputs = {"cls": 80, "reg": 4, "centerness": 1}
    weights = {f"atss_{name}.weight": (n, 256, 3, 3) for name, n in outputs.items()}
    biases = {f"atss_{name}.bias": (n,) for name, n in outputs.items()}
    head = towers | weights | biases | {f"scales.{level}.scale": () for level in range(5)}

    variables = jax.eval_shape(functools.partial(init_variables, Detector(options_of("atss_r50_1x").model, 80), 0))
    ours = {reference_name(path): torch_shape(leaf, path) for path, leaf in flatten_dict(variables["params"]).items()}
    assert {k: shape for k, shape in ours.items() if k.startswith("bbox_head.")} == {
        f"bbox_head.{name}": shape for name, shape in head.items()
    }


def test_unknown_row() -> None:
    with pytest.raises(ValueError, match=r"'ota_r50' is no row of the other assigners: docs/recipes\.md .*ota_r50_1x"):
        assigners.get_config("ota_r50")
