"""A run that ends because its AP has not become better for too long."""

import shutil
from pathlib import Path

import pytest

from lad_jax.run import saving
from lad_jax.run.states import training_state
from lad_jax.run.train import train
from tests.run.test_run import lines, newest
from tests.run.tiny import tiny

AP = {3: 0.1, 6: 0.3, 9: 0.3, 12: 0.4}
"""What each evaluation is said to have found, by step."""
IMPATIENT = tiny(train__epochs=4, train__patience=1)


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    note_ap = saving.note_ap
    monkeypatch.setattr(saving, "note_ap", lambda manager, step, ap: note_ap(manager, step, AP[step]))


def evaluated(workdir: Path) -> list[int]:
    return [line["step"] for line in lines(workdir / "metrics.jsonl") if "evaluation" in line]


@pytest.mark.slow
def test_a_run_loses_patience_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It ends after an evaluation that finds the same AP; a restart adds nothing, even if that one was not noted."""
    caplog.set_level("INFO")
    train(IMPATIENT, tmp_path)
    assert evaluated(tmp_path) == [3, 6, 9] and newest(tmp_path).name == "9"
    assert (tmp_path / "checkpoints/6").is_dir(), "the best is kept"
    assert "the AP has not become better for config.train.patience evaluations" in caplog.text
    assert training_state(tmp_path, 4) == "done"

    shutil.rmtree(newest(tmp_path) / "metrics")  # as of a run that was killed in its last evaluation
    train(IMPATIENT, tmp_path)
    assert evaluated(tmp_path) == [3, 6, 9] and newest(tmp_path).name == "9"
    assert training_state(tmp_path, 4) == "done"
