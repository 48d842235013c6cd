"""`benchmarks.gpu` tries all of its steps on a CPU, and notices a value that is not the CPU's."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu._process import Process, Step

ROOT = Path(__file__).parents[1]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """A program of `benchmarks.gpu`."""
    return subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True)


def smoke(*words: str) -> subprocess.CompletedProcess[str]:
    return run("benchmarks.gpu.smoke", "--parts=assignment", "--height=64", "--width=96", *words)


@pytest.mark.slow
def test_every_step_of_a_dry_run_reports_a_result(tmp_path: Path) -> None:
    ended = run("benchmarks.gpu.driver", "--dry", "--seconds=1500", f"--output={tmp_path}")
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    results = json.loads((tmp_path / "results.json").read_text())
    assert {name: found["outcome"] for name, found in results.items()} == dict.fromkeys(results, "done"), ended.stdout
    assert len(results) == 13
    assert all(found["figures"] for found in results.values())
    parts = {row["part"]: row["largest difference"] for row in results["values"]["figures"]["rows"]}
    assert parts == pytest.approx(dict.fromkeys(["assignment", "PAA step", "LAD step", "detection", "CoLAD step"], 0))


def test_a_few_steps_of_a_dry_run(tmp_path: Path) -> None:
    ended = run("benchmarks.gpu.driver", "--dry", "--only=machine,assignment,loader", f"--output={tmp_path}")
    results = json.loads((tmp_path / "results.json").read_text())
    assert [found["outcome"] for found in results.values()] == ["done"] * 3, ended.stdout
    assert all(found["figures"] for found in results.values())
    assert ended.returncode == 0, ended.stderr


def test_a_step_that_is_not_known_is_refused(tmp_path: Path) -> None:
    ended = run("benchmarks.gpu.driver", "--dry", "--only=machine,CoLADs", f"--output={tmp_path}")
    assert ended.returncode == 1
    assert "--only names CoLADs; known are PAA, training," in ended.stderr
    assert not (tmp_path / "results.json").exists()


def test_a_step_that_fails_is_said_to(tmp_path: Path) -> None:
    ended = run("benchmarks.gpu.driver", "--only=values", f"--output={tmp_path}", f"--carried={tmp_path / 'nothing'}")
    found = json.loads((tmp_path / "results.json").read_text())["values"]
    assert found["outcome"] == "failed"
    assert "expected.npz" in found["output"]
    assert ended.returncode == 1


def test_a_step_that_takes_too_long_is_stopped_with_its_children(tmp_path: Path) -> None:
    script = "import subprocess; child = subprocess.Popen(['sleep', '60']); print(child.pid, flush=True); child.wait()"
    process = Process(Step("waits", (sys.executable, "-c", script), json=False), tmp_path, os.environ)
    process.wait(2)
    assert process.running
    process.stop()
    found = process.outcome()
    assert found["outcome"] == "stopped"
    child = Path(f"/proc/{int(found['output'])}/stat")
    until = time.monotonic() + 10  # a signal takes its time
    while child.exists() and child.read_text().split()[2] != "Z":
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.parametrize(("name", "wrong_ones"), [("cost", None), ("object", 3)])
def test_wrong_values_are_noticed(tmp_path: Path, name: str, wrong_ones: int | None) -> None:
    right, wrong = tmp_path / "right.npz", tmp_path / "wrong.npz"
    made = smoke(f"--make={right}", f"--check={right}")
    assert made.returncode == 0, made.stderr
    arrays = dict(np.load(right))
    array = arrays[f"assignment['{name}']"]
    assert (array > 0).sum() > 3
    array.flat[np.flatnonzero(array > 0)[:wrong_ones]] += 1
    np.savez(wrong, **arrays)
    ended = smoke(f"--check={wrong}")
    assert ended.returncode == 1
    assert f"['{name}']" in ended.stdout
