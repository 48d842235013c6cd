"""One run in a workdir: who gets it when several ask, and what becomes of the lock of a run that is dead."""

import contextlib
import errno
import fcntl
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lad_jax import hosts
from lad_jax.errors import InputError
from lad_jax.run import lock
from lad_jax.run.meta import Meta, as_json
from lad_jax.run.saving import save_weights
from lad_jax.run.train import train
from tests.run.tiny import tiny

ROOT = Path(__file__).parents[2]
HOLDING = """
import sys
from pathlib import Path
from lad_jax import cli
from lad_jax.run import lock

def main(arguments):
    with lock.hold(Path(arguments[1])):
        print("held", flush=True)
        sys.stdin.read()

cli.start(main, cli.Takes(words=None))
"""
QUICK = {"beat_s": 0.05, "lost_s": 0.6}
ELSEWHERE = lock.Holder("elsewhere", 7, "2026-01-02T03:04:05+00:00")


def holding(workdir: Path) -> subprocess.Popen[str]:
    """A process that holds the lock until its input ends."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", HOLDING, str(workdir)]
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def write(workdir: Path, holder: lock.Holder) -> Path:
    """The lock of a run that is on no host of ours."""
    file = workdir / lock.FILE
    file.write_text(json.dumps(vars(holder)))
    return file


@contextlib.contextmanager
def beating(file: Path) -> Iterator[None]:
    """The heartbeat of a run on another host."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(0.05):
            os.utime(file)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_of_two_processes_one_is_refused_and_a_killed_one_is_no_obstacle(tmp_path: Path) -> None:
    processes = [holding(tmp_path), holding(tmp_path)]
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(0.05)
        refused, holder = sorted(processes, key=lambda process: process.poll() is None)
        _, said = refused.communicate()
        assert refused.returncode == 2 and holder.poll() is None
        named = f"{tmp_path}: process {holder.pid} on {socket.gethostname()}, since 20"
        assert f"error: another run is at work in workdir {named}" in said
        assert lock.living_holder(tmp_path).process == holder.pid
        with pytest.raises(InputError, match=f"process {holder.pid} on "), lock.hold(tmp_path):
            raise AssertionError("two hold it")
        holder.kill()
        holder.wait()
        assert (tmp_path / lock.FILE).exists()
        assert lock.living_holder(tmp_path) is None
        since = time.monotonic()
        with lock.hold(tmp_path):
            assert time.monotonic() - since < 0.2
            assert lock.living_holder(tmp_path).process == os.getpid()
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("left", [None, "here", "elsewhere"])
def test_of_many_at_the_same_moment_exactly_one_gets_it(left: str | None, tmp_path: Path) -> None:
    """A fresh workdir, and one with the lock of a dead run."""
    for number in range(1 if left == "elsewhere" else 10):
        workdir = tmp_path / str(number)
        workdir.mkdir()
        if left:
            write(workdir, lock.Holder() if left == "here" else ELSEWHERE)
        ends, together, over = [], threading.Barrier(8), threading.Event()

        def run(workdir=workdir, ends=ends, together=together, over=over) -> None:
            together.wait()
            try:
                with lock.hold(workdir, **QUICK):
                    ends.append("held")
                    over.wait(20)
            except InputError:
                ends.append("refused")
                if ends.count("refused") == 7:
                    over.set()

        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(ends) == ["held"] + ["refused"] * 7
        assert not (workdir / lock.FILE).exists()


@pytest.mark.parametrize("content", [json.dumps(vars(ELSEWHERE)), "", '{"host": "els', "[]", "\0" * 90])
@pytest.mark.parametrize("locked", [False, True], ids=["", "locked"])
def test_a_heartbeat_that_stopped_is_waited_for_and_one_that_goes_on_refuses(
    content: str, locked: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a run on another host, or on any, where the file is damaged. A file server may keep a dead host's `flock`."""
    caplog.set_level(logging.INFO)
    file = tmp_path / lock.FILE
    file.write_text(content)
    name = "process 7 on elsewhere, since 2026-01-02T03:04:05" if "}" in content else "process 0 on an unknown host"
    with file.open() as server:
        if locked:
            fcntl.flock(server, fcntl.LOCK_EX)
        with beating(file), pytest.raises(InputError, match=name), lock.hold(tmp_path, **QUICK):
            raise AssertionError("two hold it")
        assert file.read_text() == content
        since = time.monotonic()
        with lock.hold(tmp_path, **QUICK):
            assert QUICK["lost_s"] < time.monotonic() - since < 10
            assert json.loads(file.read_text())["process"] == os.getpid()
    assert f"waiting for a heartbeat of {name}" in caplog.text


def test_a_host_of_the_same_name_is_another(tmp_path: Path) -> None:
    """Or the same one, started again since: the kernel that is asked is not the one that knows."""
    file = write(tmp_path, replace(lock.Holder(), boot="another"))
    with beating(file), pytest.raises(InputError, match="another run is at work"), lock.hold(tmp_path, **QUICK):
        raise AssertionError("two hold it")
    with lock.hold(tmp_path, **QUICK):
        assert json.loads(file.read_text())["boot"] == lock.boot_id()


def test_a_lock_that_cannot_be_taken_is_named(tmp_path: Path) -> None:
    (tmp_path / lock.FILE).mkdir()
    with pytest.raises(InputError, match=rf"workdir {tmp_path} cannot be locked: .*{lock.FILE}"), lock.hold(tmp_path):
        raise AssertionError("it is held")


def test_without_locks_of_the_kernel_the_heartbeat_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "this file system has none")

    monkeypatch.setattr(fcntl, "flock", refuse)
    refused = pytest.raises(InputError, match=f"process {os.getpid()} on")
    with lock.hold(tmp_path, **QUICK), refused, lock.hold(tmp_path, **QUICK):
        raise AssertionError("two hold it")
    write(tmp_path, lock.Holder())
    with lock.hold(tmp_path, **QUICK):
        pass


def test_it_is_removed_however_the_run_ends(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), lock.hold(tmp_path):
        1 / 0  # noqa: B018
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_lock_was_taken_over_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a host that has slept meanwhile; the other's lock stays."""
    said = []
    monkeypatch.setattr(hosts, "end", said.append)
    with lock.hold(tmp_path, **QUICK):
        file = write(tmp_path, ELSEWHERE)
        while not said:
            time.sleep(0.01)
    assert f"workdir {tmp_path} was taken over by another run, process 7 on elsewhere" in said[0]
    assert json.loads(file.read_text()) == vars(ELSEWHERE)


def test_the_other_processes_of_a_run_are_refused_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = np.frombuffer(b"another run is at work".ljust(4096, b"\0"), np.uint8)
    monkeypatch.setattr(hosts, "is_writer", lambda: False)
    monkeypatch.setattr(hosts, "_gather", lambda values: np.stack([first, values]))
    with pytest.raises(InputError, match=r"^another run is at work$"), lock.hold(tmp_path):
        raise AssertionError("it goes on alone")
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_refused_before_it_writes_anything(tmp_path: Path) -> None:
    weights = Meta(as_json(tiny()), ("cat",), (1,), "data", {})
    for write_into in (lambda: train(tiny(), tmp_path), lambda: save_weights(tmp_path, {}, weights)):
        with lock.hold(tmp_path), pytest.raises(InputError, match="another run is at work"):
            write_into()
    assert list(tmp_path.iterdir()) == []
