"""A run whose batches differ in scale and whose pictures are cropped."""

import logging
from pathlib import Path

import numpy as np
import pytest

from lad_jax.data import make_plan, open_dataset
from lad_jax.train import loop
from lad_jax.train.logging import RunLog
from lad_jax.train.loop import train
from tests.train.test_run import assert_same_checkpoint, lines
from tests.train.tiny import tiny

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
    """The canvas of every batch that a run steps with."""
    seen: list[tuple[int, int]] = []

    def compile_once(*arguments):
        step = loop_compile_once(*arguments)

        def run(state, frozen, batch):
            seen.append(batch.images.shape[1:3])
            return step(state, frozen, batch)

        return run

    loop_compile_once = loop.compile_once
    monkeypatch.setattr(loop, "compile_once", compile_once)
    return seen


def test_canvases_are_planned_and_a_stopped_run_goes_on_as_if_it_were_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, canvases: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    train(VARIED, tmp_path / "whole")
    plan = make_plan(open_dataset(VARIED.data, "train"), VARIED.data, batch_size=4, seed=0)
    planned = [plan.step(step).canvas for step in range(6)]
    assert canvases == planned
    assert set(planned) == {(64, 64), (96, 96)}
    assert "will compile 2 training program(s), one a canvas: 64x64, 96x96" in caplog.text
    assert sum("compiled program" in record.message for record in caplog.records) == 2

    def interrupt(log: RunLog) -> None:
        del log
        if len(canvases) == 6 + 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RunLog, "step", interrupt)
        train(VARIED, tmp_path / "stopped")
    train(VARIED, tmp_path / "stopped")
    assert canvases[6:] == planned[:5] + planned[4:], "it went on from the checkpoint after step 4"
    assert_same_checkpoint(tmp_path / "stopped", tmp_path / "whole")
    losses = [[line.get("loss") for line in lines(tmp_path / run / "metrics.jsonl")] for run in ("stopped", "whole")]
    assert losses[0] == losses[1] and np.isfinite([loss for loss in losses[0] if loss is not None]).all()
