"""Runs on pictures of two shapes: canvases, devices, and pictures that cannot be read."""

import json
import logging
import shutil
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from lad_jax.data import fingerprint, make_plan, open_dataset, train_batches
from lad_jax.errors import InputError
from lad_jax.evaluation.coco import NO_AP
from lad_jax.run import checkpoint
from lad_jax.run.evaluate import evaluate
from lad_jax.run.logging import RunLog
from lad_jax.run.train import train
from tests.folder import flags_of, write_coco_folder
from tests.run.tiny import tiny

WIDE, HIGH = (64, 96), (96, 64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """8 wide and 4 high pictures to train on: with batches of 4, an epoch of three steps on two canvases."""
    write_coco_folder(tmp_path / "data", "train", [WIDE] * 8 + [HIGH] * 4)
    write_coco_folder(tmp_path / "data", "val", [WIDE] * 3 + [HIGH])
    return tmp_path / "data"


def options(folder: Path, **changes):
    keys = {key.replace(".", "__"): value for key, value in flags_of(folder).items()}
    return tiny(**keys, data__source="coco", data__short_side=64, data__filter_empty=True, **changes)


def variables(workdir: Path, step: int) -> list[np.ndarray]:
    with ocp.StandardCheckpointer() as reader:
        restored = reader.restore((workdir / "checkpoints" / str(step) / "variables").absolute())
    return [np.asarray(x) for x in jax.tree.leaves(restored)]


def programs(caplog: pytest.LogCaptureFixture) -> int:
    """How many programs of the step were compiled."""
    return sum("compiled program" in record.message and ": training" in record.message for record in caplog.records)


TWO_EPOCHS = {"train__epochs": 2, "train__checkpoint_every": 3, "train__eval_every": 2}


@pytest.mark.slow
def test_each_canvas_is_compiled_once(folder, tmp_path, caplog) -> None:
    caplog.set_level(logging.INFO)
    train(options(folder, **TWO_EPOCHS), tmp_path)
    assert programs(caplog) == 2, "six steps on two canvases"
    assert "compile 2 training program(s), one a canvas: 64x96, 96x64" in caplog.text


@pytest.mark.slow
def test_canvases_on_any_number_of_devices(folder, tmp_path, caplog, monkeypatch) -> None:
    """Four devices, then one that takes the run over: as one device all along; a program a canvas."""
    caplog.set_level(logging.INFO)
    train(options(folder, **TWO_EPOCHS), tmp_path / "one")

    def interrupt(log: RunLog) -> None:
        steps.append(log)
        if len(steps) == 5:
            raise KeyboardInterrupt

    caplog.clear()
    steps: list[RunLog] = []
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RunLog, "step", interrupt)
        train(options(folder, mesh__data=4, **TWO_EPOCHS), tmp_path / "four")
    assert programs(caplog) == 2, "five steps on two canvases"
    train(options(folder, **TWO_EPOCHS), tmp_path / "four")
    assert "going on from step 3" in caplog.text
    for ours, theirs in zip(variables(tmp_path / "four", 6), variables(tmp_path / "one", 6), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-5)


def test_an_unreadable_picture_costs_no_step_before_it(folder, tmp_path) -> None:
    """It ends the run by name; what was learned is saved first."""
    run = options(folder, train__epochs=1, train__checkpoint_every=100)
    train_set = open_dataset(run.data, "train")
    plan = make_plan(train_set, run.data, batch_size=run.train.batch_size, seed=run.seed)
    *_, third = train_batches(train_set, plan, run.data, start_step=0, num_steps=3)
    name = train_set.records[third.position[0]].file_name
    (folder / "train" / name).write_bytes(b"no picture")
    with pytest.raises(InputError, match=name):
        train(run, tmp_path / "run")
    assert [step.name for step in (tmp_path / "run" / "checkpoints").iterdir()] == ["2"]


@pytest.mark.slow
def test_an_unreadable_validation_picture_costs_no_training(folder, tmp_path) -> None:
    """Found at the evaluation, it stops the run by name, but what was learned is kept and used."""
    picture = folder / "val" / "2.png"
    good = picture.read_bytes()
    picture.write_bytes(good[: len(good) // 2])
    run = options(folder, train__epochs=1, train__checkpoint_every=100)
    with pytest.raises(InputError, match=r"2\.png is cut off"):
        train(run, tmp_path / "run")
    saved = variables(tmp_path / "run", 3)
    picture.write_bytes(good)
    train(run, tmp_path / "run")  # nothing is left to learn
    for ours, theirs in zip(variables(tmp_path / "run", 3), saved, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_unreadable_pictures_are_left_out_and_named_once(folder, tmp_path, caplog) -> None:
    for split in ("train", "val"):
        (folder / split / "1.png").write_bytes(b"no picture")
    train(options(folder, data__on_bad_picture="skip", train__epochs=2), tmp_path / "run")
    named = [r.message for r in caplog.records if "left out unreadable picture 1.png (1 so far)" in r.message]
    assert len(named) == 1, "two epochs, one line"
    assert "image id 1 could not be read" in caplog.text


@pytest.mark.slow
def test_a_run_that_nothing_can_measure(folder, tmp_path, caplog, capsys) -> None:
    """It trains on, and its newest checkpoint is taken; a run and the command `eval` say that there is no AP."""
    content = json.loads((folder / "val.json").read_text())
    (folder / "val.json").write_text(json.dumps(content | {"annotations": []}))
    run = options(folder, train__epochs=2)
    caplog.set_level(logging.INFO)
    train(run, tmp_path / "run")
    said = [message for message in caplog.messages if "no AP" in message]
    assert [message.split(":")[0] for message in said] == ["! val", "step 3, student", "step 6, student"]
    assert checkpoint.find(tmp_path / "run").name == "6"
    evaluate(run, tmp_path / "run")
    assert NO_AP in capsys.readouterr().out


def test_other_boxes_are_another_run(folder, tmp_path) -> None:
    run = options(folder, train__epochs=1)
    train(run, tmp_path / "run")
    saved = checkpoint.read_meta(checkpoint.find(tmp_path / "run"))
    assert saved.data == fingerprint(open_dataset(run.data, "train").records)
    shutil.rmtree(folder)
    write_coco_folder(folder, "train", [WIDE] * 9 + [HIGH] * 4)
    write_coco_folder(folder, "val", [WIDE] * 3 + [HIGH])
    with pytest.raises(InputError, match="was started on other training data"):
        train(run, tmp_path / "run")
