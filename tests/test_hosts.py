"""Runs of several processes, against the same run of one."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest

from lad_jax import hosts
from lad_jax.data import DataOptions, SyntheticOptions, eval_batches, make_eval_plan, make_plan, open_dataset
from lad_jax.data import train_batches as read_batches
from lad_jax.errors import InputError
from lad_jax.hosts import VARIABLES, distributed_arguments
from lad_jax.run import checkpoint, recording
from lad_jax.run.logging import RunLog
from lad_jax.run.train import train
from tests.run.tiny import TINY, tiny

pytestmark = pytest.mark.first
ROOT = Path(__file__).parents[1]
# 13 and 5 pictures: neither the batches nor the processes divide them.
SMALL = {
    "data.synthetic.train": 13,
    "data.synthetic.val": 5,
    "model.first_level": 5,
    "model.n_levels": 1,
    "model.anchor_scale": 2.0,
    "mesh.data": 2,
    "report.pictures": 3,
}
LAST, KILLED_AT = 8, 6


class Ended(NamedTuple):
    """What became of a run's processes."""

    workdir: Path
    codes: list[int]
    said: list[str]
    seconds: float
    """From the first one's end to the last one's."""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def processes(workdir: Path, count: int, *arguments: str, ending: tuple[str, ...] = ()) -> Ended:
    """The small run by `count` processes of one device each, until they end; the last one as `tests.run.ending`."""
    flags = [f"--config.{key}={value}" for key, value in (TINY | SMALL).items()]
    coordinator = f"127.0.0.1:{free_port()}"
    one_device = os.environ["XLA_FLAGS"].replace("device_count=8", "device_count=1")
    started, files = [], [workdir.parent / f"{workdir.name}_{number}.log" for number in range(count)]
    for number, file in enumerate(files):
        program = ["-m", "tests.run.ending", *ending] if ending and number == count - 1 else ["main.py"]
        command = [sys.executable, *program, "--config=configs/base.py", f"--workdir={workdir}", *flags, *arguments]
        where = dict(zip(VARIABLES, (coordinator, str(count), str(number)), strict=True))
        with file.open("w") as output:
            started.append(
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env={**os.environ, **where, "XLA_FLAGS": one_device},
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            )
    began = time.monotonic()
    try:
        while all(process.poll() is None for process in started):
            assert time.monotonic() - began < 900, "the processes hang"
            time.sleep(0.1)
        since = time.monotonic()
        codes = [process.wait(timeout=2 * hosts.LOST_S) for process in started]
    finally:
        for process in started:
            process.kill()
    return Ended(workdir, codes, [file.read_text() for file in files], time.monotonic() - since)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workdir of the small run by this process, on as many devices."""
    workdir = tmp_path_factory.mktemp("alone")
    train(tiny(**{key.replace(".", "__"): value for key, value in SMALL.items()}), workdir)
    return workdir


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """By two processes, of which one is killed after step 6."""
    return processes(tmp_path_factory.mktemp("hosts") / "two", 2, ending=("killed", str(KILLED_AT)))


@pytest.fixture(scope="module")
def four(two: Ended) -> Ended:
    """That run brought to its end by four, of one picture each."""
    workdir = shutil.copytree(two.workdir, two.workdir.with_name("four"))
    return processes(workdir, 4, "--config.mesh.data=4")


def lines(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def assert_same_figures(workdir: Path, reference: Path, steps: list[int]) -> None:
    """Each step's pictures and losses, each evaluation's AP: the reference's, once each."""
    ours, theirs = (
        [line for line in lines(folder / "metrics.jsonl") if line["step"] in steps] for folder in (workdir, reference)
    )
    assert [line["step"] for line in ours] == [line["step"] for line in theirs]
    for one, other in zip(ours, theirs, strict=True):
        if "evaluation" in one:
            assert one["evaluation"]["student"]["AP"] == pytest.approx(other["evaluation"]["student"]["AP"], abs=1e-3)
        else:
            figures = {name: value for name, value in one.items() if name != "images_per_s"}
            assert figures == pytest.approx({name: other[name] for name in figures}, rel=2e-4, abs=1e-6)
    images = [[line for line in lines(f / "images.jsonl") if line["step"] in steps] for f in (workdir, reference)]
    assert images[0] == images[1]


def test_two_processes_compute_what_one_does(two: Ended, alone: Path) -> None:
    steps = [line["step"] for line in lines(two.workdir / "metrics.jsonl")]
    assert set(steps) >= set(range(1, KILLED_AT + 1))
    assert_same_figures(two.workdir, alone, list(range(1, KILLED_AT + 1)))


def test_a_killed_process_ends_the_others_with_a_message(two: Ended) -> None:
    assert two.codes == [2, -9]
    assert two.seconds < hosts.LOST_S
    assert "error: another process of this run has ended" in two.said[0]


@pytest.mark.slow
def test_four_processes_go_on_with_the_run_of_two(four: Ended, alone: Path) -> None:
    """To what 8 steps make of sums in another order; a picture read twice, or a step, would change whole percents."""
    assert four.codes == [0] * 4, four.said
    assert f"going on from step {KILLED_AT}" in four.said[0]
    assert_same_figures(four.workdir, alone, list(range(1, LAST + 1)))
    ours, theirs = (
        jax.tree.leaves(checkpoint.read_variables(folder / "checkpoints" / str(LAST), "student"))
        for folder in (four.workdir, alone)
    )
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_each_picture_is_evaluated_once(four: Ended, alone: Path) -> None:
    ours, theirs = (
        sorted(json.loads((f / "detections.json").read_text()), key=lambda d: (d["image_id"], -d["score"]))
        for f in (four.workdir, alone)
    )
    assert [d["image_id"] for d in ours] == [d["image_id"] for d in theirs]
    assert len({d["image_id"] for d in ours}) == SMALL["data.synthetic.val"]
    np.testing.assert_allclose([d["score"] for d in ours], [d["score"] for d in theirs], atol=1e-4)


@pytest.mark.parametrize(("by", "evaluations"), [("two", 1), pytest.param("four", 2, marks=pytest.mark.slow)])
def test_processes_record_what_one_does(by: str, evaluations: int, alone: Path, request: pytest.FixtureRequest) -> None:
    """What each evaluation saw, detections among it: the run of two was killed after its first."""
    workdir = request.getfixturevalue(by).workdir
    steps = recording.recorded_steps(alone)[:evaluations]
    assert recording.recorded_steps(workdir) == steps and len(steps) == evaluations
    for file in ("scenes", *steps):
        (ours, pictures), (theirs, expected) = (
            recording.read(recording.folder_of(folder) / f"{file}.npz") for folder in (workdir, alone)
        )
        assert ours == theirs and len(pictures) == 3
        for one, other in zip(pictures, expected, strict=True):
            for name in ("boxes", "prior", "object", "n_candidates", "cost/student", "detection/scores"):
                if name in other:
                    np.testing.assert_allclose(one[name].astype(float), other[name].astype(float), rtol=1e-2, atol=1e-3)


@pytest.mark.slow
def test_one_process_writes(four: Ended) -> None:
    names = {file.name for file in four.workdir.iterdir()}
    assert names == {
        *("checkpoints", "config.json", "starts.jsonl", "tensorboard"),
        *("metrics.jsonl", "images.jsonl", "metrics.json", "detections.json", "report"),
    }
    assert len(list((four.workdir / "tensorboard").iterdir())) == 2, "one of the run of two, one of its end"
    assert all("step 8" not in said for said in four.said[1:])


def test_who_does_not_write_touches_no_file(tmp_path: Path) -> None:
    log = RunLog(tmp_path, start=0, evaluated=True, total=1, steps_per_epoch=1, batch_size=1, writes=False)
    log.window(1, {"loss": 1.0}, [[7]])
    log.close()
    assert list(tmp_path.iterdir()) == [] and Path(os.devnull).is_char_device()


@pytest.mark.slow
def test_an_error_of_one_process_ends_the_others(tmp_path: Path) -> None:
    ended = processes(tmp_path / "run", 2, ending=("failed", "2"))
    assert ended.codes == [2, 2]
    assert ended.seconds < hosts.LOST_S
    assert "error: a picture cannot be read" in ended.said[1] and "another process" in ended.said[0]


@pytest.mark.slow
def test_sigterm_to_one_process_ends_all_after_the_same_step(tmp_path: Path) -> None:
    ended = processes(tmp_path / "run", 2, "--config.train.epochs=50", ending=("asked", "2"))
    assert ended.codes == [75, 75], ended.said
    saved = max(int(folder.name) for folder in (tmp_path / "run" / "checkpoints").iterdir())
    assert 2 < saved < 200
    assert f"goes on from step {saved}" in ended.said[0]


class Counted:
    """A data set that notes which pictures are read."""

    def __init__(self, dataset) -> None:
        self._dataset, self.read_positions = dataset, []
        self.records, self.class_names, self.category_ids = dataset.records, dataset.class_names, dataset.category_ids

    def orientation(self, position):
        return 1

    def read(self, position, reduction=1):
        self.read_positions.append(position)
        return self._dataset.read(position)

    doubts = ()

    def ground_truth(self):
        return {}


@pytest.mark.parametrize("parts", [[[0, 1], [2, 3]], [[0], [1], [2], [3]], [[0, 3], [1, 2]]])
def test_a_process_reads_its_rows_only_and_they_are_the_whole_runs(parts: list[list[int]]) -> None:
    options = DataOptions(
        source="synthetic",
        synthetic=SyntheticOptions(train=13, val=5, size=96),
        short_side=96,
        long_side=96,
        crop=0.5,
        crop_short_sides=(80, 96),
        crop_range=(40, 90),
        workers=0,
    )

    def read(rows: list[int] | None) -> tuple[list, list[int]]:
        given = None if rows is None else np.array(rows)
        sets = [Counted(open_dataset(options, split)) for split in ("train", "val")]
        plans = make_plan(sets[0], options, batch_size=4, seed=3), make_eval_plan(sets[1], options, batch_size=4)
        trained = list(read_batches(sets[0], plans[0], options, start_step=2, num_steps=4, rows=given))
        evaluated = list(eval_batches(sets[1], plans[1], options, rows=given))
        return trained + evaluated, [len(s.read_positions) for s in sets]

    whole, counts = read(None)
    assert counts == [16, 5]
    batches, read_counts = zip(*(read(rows) for rows in parts), strict=True)
    assert np.sum(read_counts, axis=0).tolist() == counts, "no picture is read twice"
    for rows, own in zip(parts, batches, strict=True):
        for one, all_rows in zip(own, whole, strict=True):
            jax.tree.map(lambda x, y, rows=rows: np.testing.assert_array_equal(x, y[rows]), one, all_rows)


SLURM = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
JAX = dict(zip(VARIABLES, ("h:1", "4", "3"), strict=True))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        (JAX, {"coordinator_address": "h:1", "num_processes": 4, "process_id": 3}),
        (SLURM | JAX, {"coordinator_address": "h:1", "num_processes": 4, "process_id": 3}),
        (SLURM | {"SLURM_STEP_NUM_TASKS": "4"}, {}),
        (SLURM | {"SLURM_STEP_NUM_TASKS": "1"}, None),
        (SLURM, None),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, {}),
    ],
    ids=["nothing", "variables", "variables in slurm", "slurm", "slurm, one task", "slurm, no step", "open mpi"],
)
def test_what_the_environment_says(environ: dict, expected: dict | None) -> None:
    assert distributed_arguments(environ | {"TPU_SKIP_MDS_QUERY": "1"}) == expected


class TestErrors:
    @pytest.mark.parametrize(
        "changes",
        [
            {"JAX_COORDINATOR_ADDRESS": ""},
            {"JAX_COORDINATOR_ADDRESS": "host"},
            {"JAX_COORDINATOR_ADDRESS": ":1"},
            {"JAX_NUM_PROCESSES": ""},
            {"JAX_NUM_PROCESSES": "two"},
            {"JAX_PROCESS_ID": "4"},
        ],
    )
    def test_variables_that_do_not_fit_together(self, changes: dict) -> None:
        with pytest.raises(
            InputError, match=r"all of JAX_COORDINATOR_ADDRESS, .*HOST:PORT.*; it has .*JAX_PROCESS_ID="
        ):
            distributed_arguments(JAX | changes)

    def test_the_others_do_not_come(self) -> None:
        """To the first process, and to one of another run whose first does not listen."""
        program = "from lad_jax import hosts; hosts.JOIN_S = 1; hosts.join()"
        started = {}
        for process in ("0", "1"):
            where = f"127.0.0.1:{free_port()}"
            environ = {**os.environ, **dict(zip(VARIABLES, (where, "2", process), strict=True))}
            command = [sys.executable, "-c", program]
            started[where] = subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True)
        for where, process in started.items():
            _, said = process.communicate(timeout=60)
            assert process.returncode == 2
            assert f"could not join the others within 1 s (coordinator: {where}" in said

    def test_processes_that_are_about_to_do_different_things(self, monkeypatch: pytest.MonkeyPatch) -> None:
        gathered = []
        monkeypatch.setattr(hosts, "_gather", lambda mine: gathered.append(mine) or np.array([mine] * 3))
        hosts.check_alike({"configs": {"a": 1}, "training data": ["b", 2]})
        hosts.check_alike({"configs": {"a": 1}, "training data": ["b", 3]})
        monkeypatch.setattr(hosts, "_gather", lambda mine: np.array([mine, mine, gathered[0]]))
        with pytest.raises(InputError, match=r"^training data of process\(es\) 2 differ"):
            hosts.check_alike({"configs": {"a": 1}, "training data": ["b", 3]})

    def test_workdir_that_is_not_shared(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """This process finds what it wrote, the other does not."""
        monkeypatch.setattr(jax, "process_count", lambda: 2)
        monkeypatch.setattr(hosts, "_gather", lambda x: np.array([x, np.zeros_like(x)]))
        with pytest.raises(InputError, match="not the same folder for all processes: 1 did not find"):
            hosts.check_shared(tmp_path)
        assert not list(tmp_path.iterdir())
        monkeypatch.setattr(hosts, "_gather", lambda x: np.array([x, x]))
        hosts.check_shared(tmp_path)
