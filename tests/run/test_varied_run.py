"""A run whose batches differ in scale and whose pictures are cropped."""

import logging
import shutil
import time
from pathlib import Path

import pytest

from lad_jax.data import make_plan, open_dataset
from lad_jax.run import train as loop
from lad_jax.run.logging import RunLog
from lad_jax.run.train import train
from tests.run.test_run import assert_same_checkpoint, lines
from tests.run.tiny import tiny

VARIED = tiny(
    data__short_sides=(64, 96),
    data__scale_buckets=2,
    data__crop=0.5,
    data__crop_short_sides=(80, 96),
    data__crop_range=(40, 90),
    train__eval_every=2,
)


@pytest.fixture
def canvases(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The canvas of every batch that runs step with."""
    seen: list[tuple[int, int]] = []
    split_batch = loop.split_batch

    def recording(batch, mesh):
        seen.append(batch.canvas)
        return split_batch(batch, mesh)

    monkeypatch.setattr(loop, "split_batch", recording)
    return seen


@pytest.mark.slow
def test_canvases_are_planned_and_a_run_goes_on_where_it_was(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, canvases: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of the workdir from amid the run, which is what a kill leaves behind, becomes the same run."""
    whole, copy, count = tmp_path / "whole", tmp_path / "copy", RunLog.step

    def copying(log: RunLog) -> None:
        count(log)
        if len(canvases) == 5:
            while not (whole / "checkpoints" / "4" / "commit_success.txt").exists():
                time.sleep(0.01)
            shutil.copytree(whole, copy, ignore=shutil.ignore_patterns("2"))  # orbax is about to delete that one

    caplog.set_level(logging.INFO)
    with monkeypatch.context() as patch:
        patch.setattr(RunLog, "step", copying)
        train(VARIED, whole)
    plan = make_plan(open_dataset(VARIED.data, "train"), VARIED.data, batch_size=4, seed=0)
    planned = [plan.step(step).canvas for step in range(6)]
    assert canvases == planned and set(planned) == {(64, 64), (96, 96)}
    assert "will compile 2 training program(s), one a canvas: 64x64, 96x96" in caplog.text
    assert sum("compiled program" in r.message and ": training" in r.message for r in caplog.records) == 2

    train(VARIED, copy)
    assert canvases[6:] == planned[4:]
    losses = [[line["loss"] for line in lines(run / "metrics.jsonl") if "loss" in line] for run in (whole, copy)]
    assert losses[0] == losses[1] and len(losses[0]) == 6
    assert lines(whole / "images.jsonl") == lines(copy / "images.jsonl")
    assert_same_checkpoint(copy, whole)


def test_a_transfer_that_the_loop_does_not_ask_for_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "split_batch", lambda batch, mesh: batch)
    with pytest.raises(Exception, match="Disallowed host-to-device transfer"):
        train(VARIED, tmp_path)
