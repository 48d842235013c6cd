"""Runs that are asked to end, damaged checkpoints, full disks: nothing whole is lost."""

import contextlib
import json
import logging
import os
import resource
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lad_jax
from lad_jax.errors import InputError
from lad_jax.evaluation.evaluator import Evaluator
from lad_jax.run import checkpoint, recover, saving
from lad_jax.run.interrupt import Interrupted, Interruptions
from lad_jax.run.logging import RunLog
from lad_jax.run.meta import Meta, as_json
from lad_jax.run.train import train
from lad_jax.train.state import TrainState
from tests.run.test_run import assert_same_checkpoint, lines
from tests.run.tiny import tiny

META = Meta(as_json(tiny()), ("cat",), (1,), "data", {})


def steps(workdir: Path) -> set[str]:
    return {folder.name for folder in (workdir / "checkpoints").iterdir()}


def cut_off(folder: Path) -> None:
    """Halve the largest file of the variables."""
    largest = max((f for f in (folder / "variables").rglob("*") if f.is_file()), key=lambda f: f.stat().st_size)
    os.truncate(largest, largest.stat().st_size // 2)


def state_of(step: int, size: int = 16) -> TrainState:
    """Something small with the fields of a state, another for each step."""
    w = jax.random.normal(jax.random.key(step), (size,))
    return TrainState(
        jnp.asarray(step), {"student": {"params": {"w": w}}}, {"momentum": 2 * w}, {}, jnp.zeros(2, jnp.uint32)
    )


def deeds(workdir: Path) -> list:
    """What a run has written, but for times."""
    dropped = {"images_per_s", "seconds"}
    rows = lines(workdir / "metrics.jsonl")
    return [{k: v for k, v in row.items() if k not in dropped} for row in rows] + lines(workdir / "images.jsonl")


def test_a_run_that_is_ended_and_damaged_is_the_run_that_never_was(
    paa_workdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """SIGTERM after step 5; that checkpoint is cut off; SIGTERM while step 6 is evaluated; then to the end."""
    caplog.set_level(logging.INFO)
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    done = []

    def ask_after_step_5(log: RunLog) -> None:
        done.append(log)
        if len(done) == 5:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch, pytest.raises(Interrupted) as ended:
        patch.setattr(RunLog, "step", ask_after_step_5)
        train(tiny(), tmp_path)
    assert ended.value.code == 75 and len(done) == 5
    assert f"no checkpoint in {tmp_path}: starting from step 0" in caplog.text
    assert "SIGTERM: exit code 75; the same command goes on from step 5" in caplog.text
    shown = [message.split(",")[0] for message in caplog.messages if " of 6, epoch " in message]
    assert shown == [f"step {step} of 6" for step in range(1, 6)], "there is no terminal, so each is a line"
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers
    assert steps(tmp_path) == {"3", "4", "5"}
    assert [line["step"] for line in lines(tmp_path / "metrics.jsonl")] == [1, 2, 3, 3, 4, 5]

    cut_off(tmp_path / "checkpoints" / "5")
    (tmp_path / "checkpoints" / "6.orbax-checkpoint-tmp").mkdir()

    def ask(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("the evaluation went on")

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(Evaluator, "__call__", ask)
        train(tiny(), tmp_path)
    assert "deleted" in caplog.text and "6.orbax-checkpoint-tmp" in caplog.text
    assert f"checkpoints/5 is damaged and was set aside as {tmp_path}/damaged/5" in caplog.text
    assert "going on from step 4" in caplog.text and (tmp_path / "damaged" / "5" / "meta").is_dir()
    assert not (tmp_path / "checkpoints" / "6" / "metrics").exists()

    # A run that ended between the line of the log and the AP of the checkpoint: the line is written once.
    with (tmp_path / "metrics.jsonl").open("a") as log:
        log.write(json.dumps({"step": 6, "evaluation": {}, "seconds": 0}) + "\n" + '{"step": 7, "lo')
    (tmp_path / "config.json").write_text('{"train": {"ep')
    train(tiny(), tmp_path)
    assert_same_checkpoint(tmp_path, paa_workdir)
    assert (tmp_path / "config.json").read_bytes() == (paa_workdir / "config.json").read_bytes()
    assert deeds(tmp_path) == deeds(paa_workdir)
    ap = [json.loads((w / "checkpoints" / "6" / "metrics" / "metrics").read_text()) for w in (tmp_path, paa_workdir)]
    assert ap[0] == ap[1]


def test_the_best_and_a_whole_one_are_there_at_every_moment(tmp_path: Path) -> None:
    """Looked at all the time while a dozen are saved, evaluated and deleted; over a restart as well."""
    aps = [0.1, 0.5, None, 0.2, None, None, 0.3, 0.5, None, 0.6, 0.1, None]
    best, seen, over = [""], [], threading.Event()

    def look() -> None:
        whole = False
        while not over.is_set():
            needed, there = best[0], {f.name for f in (tmp_path / "checkpoints").glob("*") if f.name.isdigit()}
            whole = whole or bool(there)
            seen.append((not whole or bool(there), not needed or needed in there))
            time.sleep(0.001)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for part in (range(0, 6), range(6, 12)):
            with recover.open_manager(tmp_path) as manager:
                for step in part:
                    saving.save(manager, state_of(step + 1), META)
                    if (ap := aps[step]) is not None:
                        saving.note_ap(manager, step + 1, ap)
                        best[0] = str(step + 1) if ap >= max(a or 0 for a in aps[: step + 1]) else best[0]
    finally:
        over.set()
        watcher.join()
    assert len(seen) > 100 and all(whole and kept for whole, kept in seen)
    assert steps(tmp_path) == {"10", "11", "12"}, "the best, and the two newest"
    assert checkpoint.find(tmp_path).name == "10"


@pytest.mark.parametrize(
    ("aps", "kept", "found"),
    [
        ([None, None, None, None], {"3", "4"}, "4"),  # the newest
        ([0.2, 0.1, None, None], {"1", "3", "4"}, "1"),  # the validation set lost its objects
        ([None, None, 0.0, None], {"3", "4"}, "3"),  # 0 is an AP
        ([None, 0.0, None, None, None], {"2", "4", "5"}, "2"),
    ],
)
def test_the_newest_is_kept_where_there_is_no_ap(aps: list, kept: set[str], found: str, tmp_path: Path) -> None:
    with recover.open_manager(tmp_path) as manager:
        for step, ap in enumerate(aps, start=1):
            saving.save(manager, state_of(step), META)
            saving.note_ap(manager, step, ap)
    assert steps(tmp_path) == kept and checkpoint.find(tmp_path).name == found
    with recover.open_manager(tmp_path) as manager:
        assert manager.metrics(len(aps))["AP"] is None, "evaluated, and not to be evaluated again"


def test_the_best_outlives_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with recover.open_manager(tmp_path) as manager:
        for step, ap in enumerate([0.5, 0.1, 0.2, 0.3], start=1):
            saving.save(manager, state_of(step), META)
            saving.note_ap(manager, step, ap)
    assert steps(tmp_path) == {"1", "3", "4"}
    (tmp_path / "checkpoints" / "4" / "metrics" / "metrics").write_text('{"A')
    with recover.open_manager(tmp_path):
        assert (tmp_path / "damaged" / "4_metrics").is_dir() and "metrics is damaged" in caplog.text
        assert steps(tmp_path) == {"1", "3", "4"}, "the weights are whole"
    for step in ("3", "4"):
        cut_off(tmp_path / "checkpoints" / step)
    with recover.open_manager(tmp_path) as manager:
        state, _ = recover.resume(manager, state_of(0), META, tmp_path)
        for step, ap in enumerate([0.4, 0.4], start=2):  # steps 2 and 3 once more
            saving.save(manager, state_of(step), META)
            saving.note_ap(manager, step, ap)
    assert int(state.step) == 1
    np.testing.assert_array_equal(
        state.variables["student"]["params"]["w"], state_of(1).variables["student"]["params"]["w"]
    )
    np.testing.assert_array_equal(state.optimizer["momentum"], state_of(1).optimizer["momentum"])
    assert steps(tmp_path) == {"1", "2", "3"} and checkpoint.find(tmp_path).name == "1"


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond 64 KiB: a write fails midway, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_loses_nothing_that_was_whole(tmp_path: Path) -> None:
    message = (
        r"could not be written to .*checkpoints; the newest whole one is of step 2\. If the disk is full.*too large"
    )
    with recover.open_manager(tmp_path) as manager:
        for step in (1, 2):
            saving.save(manager, state_of(step, 1 << 16), META)
        saving.finish(manager)
        with full_disk(), pytest.raises(InputError, match=message):
            saving.save(manager, state_of(3, 1 << 16), META)
            saving.finish(manager)
    assert steps(tmp_path) >= {"1", "2"} and "3" not in steps(tmp_path)
    with recover.open_manager(tmp_path) as manager:
        state, _ = recover.resume(manager, state_of(0, 1 << 16), META, tmp_path)
    assert int(state.step) == 2


def test_with_none_whole_nothing_is_moved(paa_workdir: Path, tmp_path: Path) -> None:
    workdir = shutil.copytree(paa_workdir, tmp_path / "run")
    there = steps(workdir)
    for step in there:
        cut_off(workdir / "checkpoints" / step)
    with pytest.raises(
        InputError, match=rf"{workdir} holds a run, but none of its checkpoints is whole: .*\n.*cut off"
    ):
        train(tiny(), workdir)
    assert steps(workdir) == there and not (workdir / "damaged").exists()
    with pytest.raises(InputError, match="cannot be read"):
        lad_jax.load(workdir)


def test_where_nothing_is_half_done_the_signal_waits() -> None:
    with Interruptions() as stop:
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL, "once more ends the process at once"
        with pytest.raises(Interrupted) as ended:
            stop.end_if_asked(1)
        assert ended.value.code == 130
        with pytest.raises(Interrupted), stop.at_once():
            raise AssertionError("it has begun")


def test_outside_of_the_main_thread_signals_are_others_business() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def inside() -> None:
        with Interruptions() as stop, stop.at_once():
            stop.end_if_asked(1)
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [before]
