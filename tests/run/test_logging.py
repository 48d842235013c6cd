"""The logs of a run: what is shown without a terminal, and what a power cut has left of earlier ones."""

import io
import json
import logging
import re
import sys
from pathlib import Path

import pytest

from lad_jax.evaluation.coco import Metrics, names_of
from lad_jax.evaluation.evaluator import Evaluated
from lad_jax.run import environment
from lad_jax.run.logging import RunLog
from lad_jax.run.prepare import _warn_of_few_steps
from lad_jax.run.states import training_state
from lad_jax.train.optimizer import OptimizerOptions


@pytest.fixture
def log(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """Makes the log of a run of 100 steps, 20 an epoch, that goes on from step 40."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("lad_jax.run.logging._board", lambda *_: None)

    def make(writes: bool = True) -> RunLog:
        return RunLog(tmp_path, start=40, evaluated=False, total=100, steps_per_epoch=20, batch_size=2, writes=writes)

    return make


SCALARS = {"loss": 1.25, "loss_class": 0.5, "learning_rate": 0.01}


def test_without_a_terminal_each_window_is_a_line(log, caplog) -> None:
    run_log = log()
    for step in (50, 60):
        run_log.window(step, SCALARS, [[1, 2]] * 10)
    first, second = caplog.messages
    assert first.startswith("step 50 of 100, epoch 2.5: images/s ") and "loss 1.250, class 0.500" in first
    assert second.startswith("step 60 of 100, epoch 3.0: ") and second.endswith(" left")


def test_only_one_process_and_no_terminal_shows_lines(log, caplog, monkeypatch) -> None:
    log(writes=False).window(50, SCALARS, [[1, 2]] * 10)
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    log().window(50, SCALARS, [[1, 2]] * 10)
    assert not caplog.messages and "epoch 2.5" in terminal.getvalue()


def test_an_ap_that_there_is_not_is_no_number(log, caplog, tmp_path: Path) -> None:
    measured = dict.fromkeys(names_of(), 0.25)
    for overall in (measured, measured | {"AP_small": None}, dict.fromkeys(names_of())):
        log().evaluation(60, {"student": Evaluated(Metrics(overall, {}), [])}, 1.0)
    known = "step 60, student: AP 25.0  AP50 25.0  AP75 25.0"
    assert caplog.messages == [known, known, "step 60, student: no AP: the validation pictures have no object"]
    last = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1], parse_constant=pytest.fail)
    assert set(last["evaluation"]["student"].values()) == {None}


def test_lines_that_a_power_cut_has_damaged_are_dropped_and_counted(log, caplog, tmp_path: Path) -> None:
    lines = [{"step": step, "image_ids": [step]} for step in (38, 39, 40, 41)]
    texts = [json.dumps(line).encode() for line in lines]
    (tmp_path / "images.jsonl").write_bytes(b"\n".join([texts[0], b"\0\0\0", *texts[1:], b"\x91re", b'{"st']))
    (tmp_path / "metrics.jsonl").write_bytes(b"")
    log()
    kept = [json.loads(line) for line in (tmp_path / "images.jsonl").read_text().splitlines()]
    assert kept == lines[:3]
    assert caplog.messages == [f"{tmp_path / 'images.jsonl'}: dropped 3 line(s) that a kill or a power cut has damaged"]


def test_a_start_after_a_cut_off_one_is_read(tmp_path: Path) -> None:
    environment.note_start(tmp_path, 0)
    with (tmp_path / environment.FILE).open("ab") as file:
        file.write(b'{"step": 20, "time": "20\xff')
    environment.note_start(tmp_path, 40)
    assert [start["step"] for start in environment.read_starts(tmp_path)] == [0, 40]


@pytest.mark.parametrize("damage", [b"", b'{"train": {"ep', b"\xff\xfe\0\x91", b"null", b"{}", b'{"train": 3}', b"[]"])
def test_a_run_whose_config_is_damaged_is_to_be_resumed(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "checkpoints/6/optimizer").mkdir(parents=True)
    config, metrics = tmp_path / "config.json", tmp_path / "metrics.jsonl"
    config.write_text('{"train": {"epochs": 2}}')
    last = b'{"step": 6, "epoch": 2}\n\xff\x00\n{"loss": 1}\n{"step": 6, "evaluation": {}}\n{"step'
    metrics.write_bytes(last)
    assert training_state(tmp_path, 2) == "done"
    config.write_bytes(damage)
    assert training_state(tmp_path, 2) == "to be resumed"
    config.write_text('{"train": {"epochs": 2}}')
    metrics.write_bytes(damage)
    assert training_state(tmp_path, 2) == "to be resumed"


@pytest.mark.parametrize(("decay", "total", "says"), [(0.9998, 300, True), (0.98, 300, False), (0.0, 300, False)])
def test_an_average_that_is_mostly_its_start_is_announced(decay: float, total: int, says: bool, caplog) -> None:
    """Of decay 0.9998 the weight of the start is 0.9998^300 = 94 % after 300 steps; of 0.98 0.2 %."""
    _warn_of_few_steps(OptimizerOptions(ema_decay=decay, warmup_steps=0), total)
    found = re.findall(
        r"ema_decay is 0\.9998: after the run's 300 steps 94 % .* lower it to 0\.98 or less", caplog.text
    )
    assert bool(found) == bool(caplog.text) == says
