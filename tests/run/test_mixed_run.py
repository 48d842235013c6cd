"""Runs whose networks differ: heads with and without objectness and IoU branch, and a cohort of three."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lad_jax
from lad_jax.errors import InputError
from lad_jax.options import RunOptions, TeacherOptions
from lad_jax.run import checkpoint
from lad_jax.run.meta import check_same_run
from lad_jax.run.train import train
from tests.run.tiny import tiny

pytestmark = pytest.mark.slow
NETWORKS = ("student", "teacher", "peer_1")


def cohort() -> RunOptions:
    """CoLAD of a plain student, a COP teacher, and an IOP peer without IoU branch."""
    options = tiny(method="colad", train__epochs=1, teacher__model__objectness="conditional")
    peer = replace(options.model, objectness="implicit", iou_branch=False)
    return replace(options, peers=(TeacherOptions(model=peer),))


def steps(workdir: Path) -> list[dict]:
    return [line for line in map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines()) if "loss" in line]


@pytest.fixture(scope="module")
def workdir(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    train(cohort(), folder)
    return folder


def test_a_cohort_of_three_learns_together(workdir: Path) -> None:
    for line in steps(workdir):
        shares = [line[f"teaches/{name}"] for name in NETWORKS]
        assert sum(shares) == pytest.approx(1) and min(shares) >= 0
        terms = [line[f"{name}/loss_{term}"] for name in NETWORKS for term in ("class", "box", "quality")]
        assert line["loss"] == pytest.approx(sum(terms), rel=1e-5)
        assert line["peer_1/loss_quality"] == 0 and min(terms[:6]) > 0
    evaluation = json.loads((workdir / "metrics.json").read_text())
    assert set(evaluation) == set(NETWORKS)
    models = {name: lad_jax.load(workdir, name).model.options for name in NETWORKS}
    assert [models[name].objectness for name in NETWORKS] == ["none", "conditional", "implicit"]
    assert lad_jax.load(workdir).options == cohort()


@pytest.mark.parametrize(
    ("student", "teacher", "method"),
    [("conditional", "student", "solad"), ("none", "teacher", "soft_label")],
)
def test_student_and_teacher_with_other_heads(student, teacher, method, workdir: Path, tmp_path: Path) -> None:
    """The teacher is a network of the cohort: a plain one, or COP."""
    options = tiny(method=method, train__epochs=1, model__objectness=student, teacher__path=str(workdir))
    model = cohort().model_of(teacher)
    train(replace(options, teacher=replace(options.teacher, model=model, network=teacher)), tmp_path)
    for line in steps(tmp_path):
        soft = [line[f"student/loss_soft_{term}"] for term in ("class", "box", "quality")]
        hard = [line[f"student/loss_{term}"] for term in ("class", "box", "quality")] if method == "solad" else []
        assert line["loss"] == pytest.approx(sum(soft + hard), rel=1e-5)
        assert np.isfinite(soft + hard).all() and soft[0] > 0
        assert ("student/loss_class" in line) == (method == "solad")


def test_a_teacher_with_another_head_than_its_config(workdir: Path, tmp_path: Path) -> None:
    options = tiny(method="lad", teacher__path=str(workdir), teacher__network="teacher")
    with pytest.raises(
        InputError, match=r"config\.teacher\.model\.objectness: checkpoint 'conditional', config 'none'"
    ):
        train(options, tmp_path)


def test_a_peer_that_was_moved_is_the_same_run(workdir: Path) -> None:
    """Where the networks of a cohort started from may change, what they are may not."""
    meta = checkpoint.read_meta(checkpoint.find(workdir))
    moved = json.loads(json.dumps(meta.config))
    moved["peers"][0]["path"] = "elsewhere"
    check_same_run(meta, replace(meta, config=moved), workdir)
    moved["peers"][0]["model"]["channels"] = 32
    with pytest.raises(InputError, match=r"config\.peers\[0\]\.model\.channels: there 16, now 32"):
        check_same_run(meta, replace(meta, config=moved), workdir)
