"""Whole runs: what they write, and that they go on where they were killed."""

import dataclasses
import functools
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

import lad_jax
from lad_jax.data import open_dataset
from lad_jax.errors import InputError
from lad_jax.models import Detector
from lad_jax.run import checkpoint
from lad_jax.run.evaluate import evaluate
from lad_jax.run.meta import Meta, as_json, check_same_run
from lad_jax.run.train import train
from tests.run.tiny import TINY, tiny

ROOT = Path(__file__).parents[2]


def lines(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def newest(workdir: Path) -> Path:
    return max((workdir / "checkpoints").iterdir(), key=lambda folder: int(folder.name))


def leaves(workdir: Path, item: str) -> list[np.ndarray]:
    """All arrays of an item of the newest checkpoint, by plain orbax."""
    with ocp.StandardCheckpointer() as reader:
        return [np.asarray(x) for x in jax.tree.leaves(reader.restore((newest(workdir) / item).absolute()))]


def assert_same_checkpoint(a: Path, b: Path) -> None:
    assert newest(a).name == newest(b).name
    for item in ("variables", "optimizer"):
        for x, y in zip(leaves(a, item), leaves(b, item), strict=True):
            np.testing.assert_array_equal(x, y)


def command(workdir: Path, *arguments: str) -> list[str]:
    """`main.py` on the command line, with the tiny run's options given as flags."""
    flags = [f"--config.{key}={value}" for key, value in TINY.items()]
    return [sys.executable, "main.py", "--config=configs/base.py", f"--workdir={workdir}", *flags, *arguments]


def start(workdir: Path, *arguments: str) -> subprocess.Popen:
    # The variant of the environment that the tests themselves run in, so compiled programs are shared.
    return subprocess.Popen(
        command(workdir, *arguments), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_run_writes_what_it_says(paa_workdir: Path) -> None:
    metrics = lines(paa_workdir / "metrics.jsonl")
    steps = [line for line in metrics if "loss" in line]
    assert [line["step"] for line in steps] == [1, 2, 3, 4, 5, 6]
    parts = ("student/loss_class", "student/loss_box", "student/loss_quality")
    for line in steps:
        assert line["loss"] == pytest.approx(sum(line[part] for part in parts), rel=1e-5)
        assert min(line["positives_per_object"], line["gradient_norm"]) > 0 and line["partition_iterations"] >= 2
        per_level = sum(line[f"positives/level_{level}"] for level in range(2))
        assert per_level == pytest.approx(line["positives_per_object"] * max(line["objects"], 1), rel=1e-5)
        assert line["teaches/student"] == 1
    assert [line["step"] for line in metrics if "evaluation" in line] == [3, 6]
    # The warm-up, and the scaling of the learning rate by batch / 16.
    assert [line["learning_rate"] for line in steps[:3]] == pytest.approx(
        [0.0025 * f for f in (0.001, 0.5005, 1)], rel=1e-4
    )
    assert list((paa_workdir / "tensorboard").iterdir())

    ids = {record.id for record in open_dataset(tiny().data, "train").records}
    epochs = np.array([line["image_ids"] for line in lines(paa_workdir / "images.jsonl")]).reshape(2, -1)
    assert [set(epoch) for epoch in epochs.tolist()] == [ids, ids], "each epoch sees each picture once"
    assert epochs[0].tolist() != epochs[1].tolist()


def test_evaluation_agrees_with_the_one_during_training(paa_workdir: Path, tmp_path: Path, capsys) -> None:
    workdir = shutil.copytree(paa_workdir, tmp_path / "run")
    during = {line["step"]: line["evaluation"] for line in lines(workdir / "metrics.jsonl") if "evaluation" in line}
    evaluate(tiny(), workdir)
    best = int(checkpoint.find(workdir).name)
    assert json.loads((workdir / "metrics.json").read_text())["student"]["overall"] == during[best]["student"]
    *table, last = capsys.readouterr().out.splitlines()
    assert any(line.startswith("best score threshold") for line in table)
    assert last.endswith(f"lad-jax report {workdir}")
    known = {record.id for record in open_dataset(tiny().data, "val").records}
    assert {d["image_id"] for d in json.loads((workdir / "detections.json").read_text())} <= known


def test_load_gives_the_saved_network(paa_workdir: Path) -> None:
    trained = lad_jax.load(paa_workdir)
    assert trained.options == tiny()
    saved = checkpoint.find(paa_workdir)
    with ocp.StandardCheckpointer() as reader:  # as documented: plain orbax reads it too
        plain = reader.restore((saved / "variables").absolute())["student"]
    jax.tree.map(np.testing.assert_array_equal, trained.variables, jax.tree.map(np.asarray, plain))
    images, hw = np.zeros((1, 96, 96, 3), np.uint8), np.array([[96, 96]], np.int32)
    predictions = jax.jit(trained.model.apply)(trained.variables, images, hw)
    assert np.isfinite(predictions.class_log_p).all()


@pytest.mark.slow  # test_survival has the same with a damaged checkpoint besides
def test_resumed_run_is_the_run_never_killed(paa_workdir: Path, tmp_path: Path) -> None:
    """`kill -9` after the first checkpoint; the second start goes on from there, to the last bit."""
    killed = tmp_path / "killed"
    process = start(killed, "--config.data.workers=2")
    deadline = time.monotonic() + 300
    while not (killed / "checkpoints" / "2" / "commit_success.txt").exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "no checkpoint"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)  # ends when no worker holds its output any more
    assert not (killed / "checkpoints" / "6").exists(), "it was killed too late to test anything"

    again = start(killed)
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    assert "going on from step" in output
    assert lines(killed / "images.jsonl") == lines(paa_workdir / "images.jsonl")
    losses = [[line.get("loss") for line in lines(d / "metrics.jsonl")] for d in (killed, paa_workdir)]
    assert losses[0] == losses[1]
    assert_same_checkpoint(killed, paa_workdir)


def test_finished_run_is_left_alone(paa_workdir: Path, tmp_path: Path) -> None:
    workdir = shutil.copytree(paa_workdir, tmp_path / "run")
    before = {f: f.read_bytes() for f in (workdir / "metrics.jsonl", workdir / "images.jsonl")}
    train(tiny(), workdir)
    assert {f: f.read_bytes() for f in before} == before
    assert_same_checkpoint(workdir, paa_workdir)


def test_lad_run_learns_from_the_workdir_of_another(paa_workdir: Path, tmp_path: Path) -> None:
    options = tiny(method="lad", teacher__path=str(paa_workdir), train__epochs=1)
    train(options, tmp_path / "lad")
    assert [line["teaches/teacher"] for line in lines(tmp_path / "lad" / "metrics.jsonl") if "loss" in line] == [
        1,
        1,
        1,
    ]
    meta = checkpoint.read_meta(newest(tmp_path / "lad"))
    teacher = lad_jax.load(paa_workdir).variables
    assert meta.teacher == {"path": str(paa_workdir), "digest": checkpoint.digest(teacher)}
    with ocp.StandardCheckpointer() as reader:
        saved = reader.restore((newest(tmp_path / "lad") / "variables").absolute())
    assert set(saved) == {"student"}, "a frozen teacher is not saved"

    # Moved, it is found by its path; and a teacher with other weights is refused.
    moved = shutil.copytree(paa_workdir, tmp_path / "moved")
    longer = {"method": "lad", "train__epochs": 1}
    train(tiny(**longer, teacher__path=str(moved)), tmp_path / "lad")
    other = tmp_path / "other"
    train(tiny(seed=1, train__epochs=1), other)
    with pytest.raises(InputError, match=r"not the one this run was started with.*config\.teacher\.path"):
        train(tiny(**longer, teacher__path=str(other)), tmp_path / "lad")


def test_colad_saves_both_networks(tmp_path: Path) -> None:
    train(tiny(method="colad", train__epochs=1), tmp_path)
    shares = [line["teaches/teacher"] for line in lines(tmp_path / "metrics.jsonl") if "loss" in line]
    assert all(0 < share < 1 for share in shares), "two networks from different seeds: each is the better somewhere"
    student, teacher = (lad_jax.load(tmp_path, name).variables for name in ("student", "teacher"))
    assert checkpoint.digest(student) != checkpoint.digest(teacher)
    evaluated = next(line["evaluation"] for line in lines(tmp_path / "metrics.jsonl") if "evaluation" in line)
    assert set(evaluated) == {"student", "teacher"}


def test_dynamic_lad_in_bfloat16_with_ema(paa_workdir: Path, tmp_path: Path) -> None:
    options = tiny(
        method="dynamic_lad",
        teacher__path=str(paa_workdir),
        train__epochs=1,
        dtype="bfloat16",
        optimizer__ema_decay=0.9,
        optimizer__clip_norm=1.0,
    )
    train(options, tmp_path / "run")
    folder = newest(tmp_path / "run")
    with ocp.StandardCheckpointer() as reader:
        variables = reader.restore((folder / "variables").absolute())
        average = reader.restore((folder / "ema").absolute())
    trained = lad_jax.load(tmp_path / "run")
    model, loaded = trained.model, trained.variables
    # What is evaluated and loaded is the average; the parameters stay float32.
    jax.tree.map(np.testing.assert_array_equal, loaded["params"], jax.tree.map(np.asarray, average["student"]))
    raw = variables["student"]["params"]["bbox_head"]["atss_cls"]["kernel"]
    assert {leaf.dtype for leaf in jax.tree.leaves((variables, average))} == {np.dtype(np.float32)}
    assert np.abs(raw - average["student"]["bbox_head"]["atss_cls"]["kernel"]).max() > 0
    # The convolutions compute in bfloat16: near float32, and not equal to it.
    images, hw = open_dataset(options.data, "val").read(0)[None], np.array([[96, 96]], np.int32)
    exact = Detector(tiny().model, model.n_classes)
    rough, fine = (jax.jit(m.apply)(loaded, images, hw).class_log_p for m in (model, exact))
    assert 1e-5 < np.abs(rough - fine).max() < 0.1


class TestBadInput:
    """Each message names what is wrong and what to do."""

    def test_workdir_of_another_config(self, paa_workdir: Path) -> None:
        with pytest.raises(InputError, match=r"optimizer\.momentum: there 0\.9, now 0\.8"):
            train(tiny(optimizer__momentum=0.8), paa_workdir)

    def test_workdir_that_is_a_file(self, tmp_path: Path) -> None:
        """Before any data is read."""
        (tmp_path / "run").touch()
        absent = {"data__source": "coco", "data__train__annotations": "absent.json"}
        with pytest.raises(InputError, match=r"workdir .*run cannot be made: there is a file of that name"):
            train(tiny(**absent), tmp_path / "run")

    def test_teacher_that_was_never_trained(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(InputError, match=r"no checkpoint in .*empty"):
            train(tiny(method="lad", teacher__path=str(tmp_path / "empty")), tmp_path / "run")

    @pytest.mark.parametrize(
        ("path", "advice"),
        [
            ("runs/paper_paa_r50_1x", ""),
            ("empty", r" That is then in runs/paper_paa_r50_1x: set config\.teacher\.path to it\."),
        ],
    )
    def test_teacher_that_a_config_trains(
        self, path: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        row = "configs/paper.py:paa_r50_1x"
        message = rf"no checkpoint in {path}: .* trained by {row}: .*lad_jax recipe {row} --run.* first\.{advice}$"
        with pytest.raises(InputError, match=message):
            train(tiny(method="lad", teacher__path=path, teacher__config=row), tmp_path / "run")

    def test_lad_without_teacher(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"needs a trained teacher: set config\.teacher\.path"):
            train(tiny(method="lad"), tmp_path)

    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            ("backbone__width", 16, r"config\.teacher\.model\.backbone\.width: checkpoint 8, config 16"),
            ("channel_order", "bgr", r"config\.teacher\.model\.channel_order: checkpoint 'rgb', config 'bgr'"),
            (
                "pixel_std",
                (1.0, 1.0, 1.0),
                r"model\.pixel_std: checkpoint \(58.*, config \(1\.0, 1\.0, 1\.0\)",
            ),
        ],
    )
    def test_teacher_of_another_architecture(
        self, key: str, value: Any, message: str, paa_workdir: Path, tmp_path: Path
    ) -> None:
        options = tiny(method="lad", teacher__path=str(paa_workdir), **{f"teacher__model__{key}": value})
        with pytest.raises(InputError, match=message):
            train(options, tmp_path)

    def test_teacher_of_other_classes(self, paa_workdir: Path) -> None:
        model = lad_jax.load(paa_workdir).model
        with pytest.raises(InputError, match=r"classes .*the data 2 \(cat, dog\)"):
            checkpoint.load_network(str(paa_workdir), "student", model, ("cat", "dog"), "config.teacher.model")

    def test_teacher_of_the_classes_in_another_order(self, paa_workdir: Path) -> None:
        """Labels are numbers: the network would be taken for one that calls each object by another's name."""
        trained = lad_jax.load(paa_workdir)
        first, second, *rest = trained.class_names
        ids = ", ".join(f"{name!r} {i}" for name, i in zip(trained.class_names, trained.category_ids, strict=True))
        message = rf"another order: class 0 is '{first}' there and '{second}' in the data, .* ids: {ids}\.$"
        with pytest.raises(InputError, match=message):
            checkpoint.load_network(paa_workdir, "student", trained.model, (second, first, *rest), "config.model")

    @pytest.mark.slow
    def test_loss_that_is_not_finite(self, tmp_path: Path) -> None:
        options = tiny(
            optimizer__learning_rate=1e30,
            optimizer__warmup_steps=0,
            optimizer__scale_learning_rate=False,
            train__max_skipped=1,
        )
        with pytest.raises(InputError, match=r"step \d+ cannot be applied \(2 in a row\): .*image ids"):
            train(options, tmp_path)
        train(tiny(train__epochs=1), tmp_path)  # as the message says: another learning rate, the same workdir
        assert newest(tmp_path).name == "3"

    @pytest.mark.parametrize(
        ("changes", "allowed"),
        [
            ({"optimizer__learning_rate": 0.1, "optimizer__clip_norm": 1.0}, True),
            ({"data__workers": 2, "train__log_every": 7, "evaluation__postprocess__nms_iou": 0.5}, True),
            ({"optimizer__momentum": 0.8}, False),
            ({"data__short_side": 90}, False),
            ({"seed": 1}, False),
        ],
    )
    def test_what_a_resumed_run_may_change(self, changes: dict, allowed: bool, tmp_path: Path) -> None:
        saved, now = (Meta(as_json(o), ("cat",), (1,), "data", {}) for o in (tiny(), tiny(**changes)))
        if allowed:
            check_same_run(saved, now, tmp_path)
        else:
            with pytest.raises(InputError, match="another config"):
                check_same_run(saved, now, tmp_path)

    @pytest.mark.parametrize(
        ("path", "value", "reason"),
        [
            ("pretrained", None, r"its meta has the keys .*, not "),
            ("config.optimizer.betas", None, r"its config lacks optimizer\.betas$"),
            ("config.optimizer.bettas", 1, r"unknown config key config\.optimizer\.bettas"),
            ("config.method", "simota", r"config\.method is 'simota'"),
        ],
        ids=["meta", "missing", "unknown", "value"],
    )
    def test_a_checkpoint_of_another_version(self, path: str, value: Any, reason: str) -> None:
        meta = dataclasses.asdict(Meta(as_json(tiny()), ("cat",), (1,), "data", {}))
        assert Meta.from_json(json.loads(json.dumps(meta)), Path("runs/x")) == Meta(**meta)
        *groups, name = path.split(".")
        group = functools.reduce(dict.__getitem__, groups, meta)
        group.pop(name, None) if value is None else group.update({name: value})
        with pytest.raises(InputError, match=rf"^checkpoint runs/x was written by another version of .*: {reason}"):
            Meta.from_json(json.loads(json.dumps(meta)), Path("runs/x"))

    def test_decay_after_the_end(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"decay_epochs is \(1, 2\), but .*train\.epochs = 2.*decay_epochs='\(\)'"):
            train(tiny(optimizer__decay_epochs=(1, 2)), tmp_path)

    @pytest.mark.parametrize(
        ("flag", "message"),
        [
            ("--config.method=lda", r"config\.method is 'lda'; allowed: 'plain', 'soft_label', 'lad'"),
            ("--config.model.backbone.depht=18", "error: unknown config key.*depht.*Did you mean .depth"),
            ("--config.optimizer.momentum=1.5", r"momentum is 1\.5; it must be at least 0 and below 1"),
        ],
    )
    def test_command_line(self, tmp_path: Path, flag: str, message: str) -> None:
        result = subprocess.run(command(tmp_path, flag), cwd=ROOT, capture_output=True, text=True)
        assert result.returncode != 0
        assert re.search(message, result.stderr), result.stderr[-2000:]
