"""A long run on a machine with faults, and one on a sound machine: the same to the last bit, and nothing piles up."""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.folder import flags_of, write_coco_folder
from tests.run.tiny import TINY
from tests.slow.run import ROOT, assert_same_end, environment, resident_mb

SIDE, STEPS, EVERY = 96, 2000, 200
"""Sides of the pictures [pixels]; steps of the run, and those from one evaluation to the next."""
CHANGES = {
    "data.source": "coco",
    "data.workers": 2,
    "data.short_side": SIDE,
    "data.long_side": SIDE,
    "optimizer.ema_decay": 0.9,
    "train.epochs": STEPS // 10,
    "train.eval_every": EVERY // 10,
    "train.checkpoint_every": 50,
    "train.log_every": 5,
}
"""Of 40 pictures, 4 a step."""
SHARED_MEMORY = 64 * 2**20
MORE = {"main": 32, "workers": 16, "shared": 1, "files": 30, "threads": 20}
"""How much more of each there may be in the last than in the first quarter of the steps after the first evaluation."""


class Fault(NamedTuple):
    """Something that happens as soon as so many steps are logged."""

    step: int
    happen: Callable[[], object]


class Sample(NamedTuple):
    """What a run holds after a step."""

    step: int
    main: float
    """Resident memory of the main process [MB]."""
    workers: float
    """That of its largest worker [MB]."""
    shared: float
    """Files in `/dev/shm` [MB]."""
    files: int
    """Open files of the main process."""
    threads: int
    """Threads of the main process."""


def log_of(workdir: Path) -> Path:
    return workdir.with_suffix(".log")


def start(workdir: Path, data: Path, *before: str, **variables: str) -> subprocess.Popen[bytes]:
    """Start the run; `before`: a command that ends by executing its arguments."""
    options = {key: value for key, value in TINY.items() if "synthetic" not in key} | CHANGES | flags_of(data)
    flags = [f"--config.{key}={value}" for key, value in options.items()]
    workdir.with_suffix(".tmp").mkdir()
    with log_of(workdir).open("wb") as log:
        return subprocess.Popen(
            [*before, sys.executable, "main.py", "--config=configs/base.py", f"--workdir={workdir}", *flags],
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment() | {"TMPDIR": str(workdir.with_suffix(".tmp"))} | variables,
        )


def small_shared_memory() -> list[str]:
    """A command that gives the one that it is followed by a `/dev/shm` of its own, or none where that is forbidden."""
    command = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs -o size={SHARED_MEMORY} tmpfs /dev/shm && exec "$@"', "sh"]
    try:
        subprocess.run([*command, "true"], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a /dev/shm of its own needs the right to mount: {getattr(error, 'stderr', error)}")
    return command


@contextlib.contextmanager
def shared_memory(process: subprocess.Popen[bytes]) -> Iterator[int]:
    """A descriptor of the process's `/dev/shm`, which shows it even after the process has ended."""
    while True:
        descriptor = os.open(f"/proc/{process.pid}/root/dev/shm", os.O_RDONLY)
        status = os.fstatvfs(descriptor)
        if status.f_blocks * status.f_frsize == SHARED_MEMORY:
            break
        os.close(descriptor)
        time.sleep(0.01)
    yield descriptor
    os.close(descriptor)


def members(process: subprocess.Popen[bytes]) -> dict[int, str]:
    """Command lines of the living processes that the run has started, by their ids."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it may end meanwhile
            state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(session) == process.pid != int(folder.name) and state != "Z":
                found[int(folder.name)] = (folder / "cmdline").read_text()
    return found


def workers(process: subprocess.Popen[bytes]) -> list[int]:
    """Ids of the run's living workers."""
    return [number for number, command in members(process).items() if "spawn_main" in command]


def sample(process: subprocess.Popen[bytes], step: int, descriptor: int) -> Sample:
    """What the run holds now; `descriptor` is that of its `/dev/shm`."""
    status = os.fstatvfs(descriptor)
    return Sample(
        step,
        main=resident_mb(process.pid),
        workers=max(map(resident_mb, workers(process)), default=0.0),
        shared=(status.f_blocks - status.f_bfree) * status.f_frsize / 2**20,
        files=len(os.listdir(f"/proc/{process.pid}/fd")),
        threads=len(os.listdir(f"/proc/{process.pid}/task")),
    )


def watch(process: subprocess.Popen[bytes], workdir: Path, faults: list[Fault], descriptor: int) -> list[Sample]:
    """Let each fault happen after its step, until the run ends; returns what was seen on the way."""
    samples, due, images = [], sorted(faults, key=lambda fault: fault.step), workdir / "images.jsonl"
    try:
        while process.poll() is None:
            step = images.read_bytes().count(b"\n") if images.exists() else 0
            while due and step >= due[0].step:
                due.pop(0).happen()
            with contextlib.suppress(OSError):  # it may end meanwhile
                samples.append(sample(process, step, descriptor))
            time.sleep(0.1)
    finally:
        process.kill()  # where this test fails
    return samples


def faults_of(process: subprocess.Popen[bytes], data: Path, log: Path, set_back: Path) -> list[Fault]:
    """A worker dies every 100 steps; the pictures are gone, once in training, once in an evaluation; the clock."""
    rng = random.Random(0)

    def kill() -> None:
        os.kill(rng.choice(workers(process)), signal.SIGKILL)

    def hide(split: str) -> None:
        data.rename(data.with_suffix(".away"))
        threading.Thread(target=bring_back, args=(split,), daemon=True).start()

    def bring_back(split: str) -> None:
        while f"cannot read picture {data / split}" not in log.read_text():
            time.sleep(0.1)
        time.sleep(2)
        data.with_suffix(".away").rename(data)

    return [
        *(Fault(step, kill) for step in range(100, STEPS, 100)),
        Fault(EVERY * 3 + 50, lambda: hide("train")),
        Fault(EVERY * 6, lambda: hide("val")),
        Fault(STEPS // 2 + 50, set_back.touch),
    ]


def names(workdir: Path) -> set[str]:
    """Files below a folder; what orbax and TensorBoard draw by chance or take from the clock is left out of names."""
    files = (file.relative_to(workdir).as_posix() for file in workdir.rglob("*") if file.is_file())
    return {re.sub(r"/[0-9a-f]{32}$|\.\d{10}\.[^/]*$", "", name) for name in files}


def most(samples: list[Sample], start: float, stop: float) -> Sample:
    """The most of each kind that was seen between two steps."""
    return Sample(*map(max, zip(*(s for s in samples if start <= s.step < stop), strict=True)))


@pytest.mark.slow
def test_two_thousand_steps_on_a_machine_with_faults(tmp_path: Path) -> None:
    """The bits are those of a quiet run; memory, files and threads stay as they were; nothing is left behind."""
    data, quiet, soaked, set_back = (tmp_path / name for name in ("data", "quiet", "soaked", "set_back"))
    command = small_shared_memory()
    for split, count in (("train", 40), ("val", 16)):
        write_coco_folder(data, split, [(SIDE, SIDE)] * count)
    process = start(quiet, data)
    assert process.wait() == 0, log_of(quiet).read_text()[-3000:]

    clock = {"PYTHONPATH": str(Path(__file__).parent / "clock"), "CLOCK_SET_BACK": str(set_back)}
    process = start(soaked, data, *command, **clock)
    with shared_memory(process) as descriptor:
        samples = watch(process, soaked, faults_of(process, data, log_of(soaked), set_back), descriptor)
        left = os.listdir(descriptor)
    said = log_of(soaked).read_text()
    assert process.returncode == 0, said[-3000:]
    assert_faults_happened(soaked, said)
    assert_same_end(soaked, quiet, STEPS)

    quarter = (STEPS - EVERY) // 4
    early, late = most(samples, EVERY, EVERY + quarter), most(samples, STEPS - quarter, STEPS)
    print(f"first quarter: {early}\nlast quarter: {late}")
    for kind, more in MORE.items():
        assert getattr(late, kind) < getattr(early, kind) + more, kind
    assert not left and not members(process) and "leaked" not in said and "Traceback" not in said
    assert names(soaked) == names(quiet)
    assert names(soaked.with_suffix(".tmp")) == names(quiet.with_suffix(".tmp"))


def assert_faults_happened(workdir: Path, said: str) -> None:
    """Check that the run met them; a worker that dies after its last batch is not missed."""
    assert said.count("a worker process died") > 15
    assert all(re.search(rf"data/{split}/.* Trying again in", said) for split in ("train", "val"))
    file = workdir / "checkpoints" / str(STEPS) / "_CHECKPOINT_METADATA"
    written_s = json.loads(file.read_text())["commit_timestamp_nsecs"] / 1e9
    assert written_s < file.stat().st_mtime - 3600, "the clock was set back"
