"""A run that is killed again and again, and one that never was: the same to the last bit."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.run.tiny import TINY
from tests.slow.run import ROOT, assert_same_end, lines

CHANGES = {
    "data.synthetic.train": 48,
    "data.workers": 1,
    "optimizer.ema_decay": 0.9,
    "train.epochs": 14,
    "train.checkpoint_every": 4,
}
"""168 steps, flips, momentum and a moving average; a checkpoint every 4 steps, an evaluation every 12."""
STEPS, EPOCH = 168, 12


def log_of(workdir: Path) -> Path:
    return workdir.with_suffix(".log")


def start(workdir: Path) -> subprocess.Popen[bytes]:
    flags = [f"--config.{key}={value}" for key, value in (TINY | CHANGES).items()]
    with log_of(workdir).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "main.py", "--config=configs/base.py", f"--workdir={workdir}", *flags],
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own, as a terminal's Ctrl-C goes to all of it
        )


def whole(workdir: Path) -> list[int]:
    return sorted(int(folder.name) for folder in (workdir / "checkpoints").glob("*") if folder.name.isdigit())


def moments(workdir: Path, rng: random.Random) -> dict[str, Callable[[], bool]]:
    """By name: whether the moment has come to kill the run that starts now."""
    since, delay = time.monotonic(), rng.uniform(0, 12)
    written = len(lines(workdir / "images.jsonl")) + rng.randint(1, 6)
    folder, newest = workdir / "checkpoints", max(whole(workdir), default=0)

    def evaluating() -> bool:
        step = max(whole(workdir), default=0)
        return step > newest and step % EPOCH == 0 and not (folder / str(step) / "metrics").exists()

    return {
        "starting": lambda: time.monotonic() - since > delay,
        "stepping": lambda: (
            (workdir / "images.jsonl").exists() and (workdir / "images.jsonl").read_bytes().count(b"\n") >= written
        ),
        "saving": lambda: any(folder.glob("*.orbax-checkpoint-tmp")),
        "items": lambda: any(folder.glob("*.orbax-checkpoint-tmp/*/*")),
        "evaluating": evaluating,
        "noting": lambda: any(folder.glob("*/metrics.orbax-checkpoint-tmp")),
    }


def end(workdir: Path, moment: str, number: signal.Signals, rng: random.Random) -> tuple[int, str]:
    """Start the run, send it a signal at a moment, and return its exit status and what it says after that."""
    come = moments(workdir, rng)[moment]
    process = start(workdir)
    while not come() and process.poll() is None:
        time.sleep(0.0005)
    if moment in ("saving", "evaluating"):
        time.sleep(rng.uniform(0, 0.03))  # somewhere in it
    said = log_of(workdir).stat().st_size
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    return process.wait(timeout=300), log_of(workdir).read_text()[said:]


@pytest.mark.slow
def test_killed_at_twenty_moments(tmp_path: Path) -> None:
    """The parameters imply the augmentation: a picture flipped otherwise would have changed their bits."""
    killed, quiet = tmp_path / "killed", tmp_path / "quiet"
    process = start(quiet)
    assert process.wait() == 0, log_of(quiet).read_text()[-3000:]

    rng = random.Random(0)
    kinds = ["starting"] * 4 + ["stepping"] * 6 + ["saving"] * 4 + ["items"] * 2 + ["evaluating"] * 3 + ["noting"]
    ends = [(kind, signal.SIGKILL) for kind in kinds]
    ends += [("stepping", signal.SIGTERM), ("evaluating", signal.SIGTERM), ("stepping", signal.SIGINT)]
    rng.shuffle(ends)
    before = 0
    for moment, number in ends:
        status, said = end(killed, moment, number, rng)
        newest = max(whole(killed), default=0)
        print(f"{number.name} while {moment}: status {status}, whole {whole(killed)}", flush=True)
        assert status == {signal.SIGKILL: -9, signal.SIGTERM: 75, signal.SIGINT: 130}[number]
        if number != signal.SIGKILL:
            assert f"{number.name}: exit code {status}; the same command goes on from step {newest}" in said
            assert "Traceback" not in said and "leaked" not in said
        assert newest >= before and newest < STEPS, "it was killed, and lost no checkpoint"
        seen = max((line["step"] for line in lines(killed / "images.jsonl")), default=0)
        assert newest >= (seen if number != signal.SIGKILL else seen - 8), "what was not yet saved is lost, no more"
        before = newest
    process = start(killed)
    assert process.wait() == 0, log_of(killed).read_text()[-3000:]
    assert f"going on from step {before}," in log_of(killed).read_text()

    assert_same_end(killed, quiet, STEPS)
