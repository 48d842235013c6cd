"""The runs of a study under way, by programs that take no time: what fails, waits, is ended, and is done elsewhere."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from lad_jax.ending import EXIT_CODES, Interrupted
from lad_jax.errors import InputError
from lad_jax.run import lock
from lad_jax.study import execute as module
from lad_jax.study.execute import Places, execute
from lad_jax.study.records import Record, file_name, read_records
from lad_jax.study.runs import Key, StudyRun, in_order, make_runs
from tests.study.test_studies import SMALL, record_of

MACHINE = "a machine"
DONE = "mkdir -p {0}/checkpoints/1"  # a checkpoint without an optimizer is a run that is done


@pytest.fixture(scope="module")
def runs() -> dict[Key, StudyRun]:
    return make_runs(SMALL)


class Sitting:
    """Studies in a folder whose runs are shell commands: by default, one that is done at once."""

    def __init__(self, folder: Path, runs: dict[Key, StudyRun]) -> None:
        self.places, self.runs, self.commands = Places(folder / "runs", folder / "records"), runs, {}
        self.pairs = list(in_order(SMALL, runs, 2))
        self.started: list[tuple[str, int]] = []

    def command_of(self, run: StudyRun, workdirs: Path) -> list[str]:
        self.started.append((run.key[1], run.seed))
        command = self.commands.get((run.key[1], run.seed), DONE)
        return ["bash", "-c", command.format(run.workdir(workdirs))]

    def workdir(self, condition: str, seed: int) -> Path:
        return self.runs["", condition, seed].workdir(self.places.workdirs / file_name(MACHINE))

    def go(self, **changes: object) -> list[tuple[str, int]]:
        """Go on with the study; the runs that have a record then."""
        execute(self.pairs, Places(**(vars(self.places) | changes)))
        return self.recorded

    @property
    def recorded(self) -> list[tuple[str, int]]:
        by_name = {(run.name, run.seed): (run.key[1], run.seed) for run in self.runs.values()}
        names = {run.name for run in self.runs.values()}
        return sorted(by_name[r.run, r.seed] for r in read_records(self.places.records, names))


@pytest.fixture
def sitting(tmp_path: Path, runs: dict[Key, StudyRun], monkeypatch: pytest.MonkeyPatch) -> Sitting:
    sitting = Sitting(tmp_path, runs)
    monkeypatch.setattr(module, "command_of", sitting.command_of)
    monkeypatch.setattr(module, "machine_of", lambda cores: MACHINE)
    monkeypatch.setattr(module, "make_record", lambda run, workdir: record_of(run, MACHINE))
    monkeypatch.setattr(module, "POLL_S", 0.02)
    before = {number: signal.getsignal(number) for number in EXIT_CODES}
    yield sitting
    for number, handler in before.items():
        signal.signal(number, handler)


ALL = sorted((name, seed) for name in SMALL.conditions for seed in (0, 1))


@pytest.mark.parametrize("parallel", [1, 2])
def test_all_is_run_once_and_then_nothing(sitting: Sitting, parallel: int) -> None:
    assert sitting.go(parallel=parallel) == ALL == sorted(sitting.started)
    assert sitting.go(parallel=parallel) == ALL == sorted(sitting.started)


def test_cores_are_divided(sitting: Sitting) -> None:
    """Each run sees its share; no two at a time the same."""
    cores = sorted(os.sched_getaffinity(0))
    sitting.commands = dict.fromkeys(ALL, "mkdir -p {0}; taskset -cp $$ > {0}/cores; sleep 0.2; " + DONE)
    sitting.go(parallel=2)
    seen = {(sitting.workdir(*run) / "cores").read_text().split(": ")[1].strip() for run in ALL}
    assert len(seen) == 2 and sorted(os.sched_getaffinity(0)) == cores
    with pytest.raises(InputError, match=rf"--parallel is {len(cores) + 1}, but there are {len(cores)} core"):
        sitting.go(parallel=len(cores) + 1)


def test_a_run_that_fails_ends_only_those_that_need_it(sitting: Sitting) -> None:
    sitting.commands = {("teacher", 1): "echo what went wrong; exit 3"}
    with pytest.raises(
        InputError, match=r"(?s)teacher, seed 1: exit status 3; .*log.txt.*lad, seed 1.*teacher has failed"
    ):
        sitting.go()
    assert sitting.recorded == [run for run in ALL if run not in (("teacher", 1), ("lad", 1))]
    assert (sitting.workdir("teacher", 1) / "log.txt").read_text() == "what went wrong\n"
    sitting.commands.clear()
    assert sitting.go() == ALL, "the same command tries again"


def test_a_folder_that_is_no_run_costs_only_itself(sitting: Sitting, monkeypatch: pytest.MonkeyPatch) -> None:
    def make_record(run: StudyRun, workdir: Path) -> Record:
        if run.key[1] == "paa":
            raise KeyError("overall")
        return record_of(run, "another machine" if run.key[1] == "atss" else MACHINE)

    monkeypatch.setattr(module, "make_record", make_record)
    with pytest.raises(
        InputError, match=r"(?s)paa, seed 0: .* is no whole run.*atss, seed 0: .*made on another machine"
    ):
        sitting.go()
    assert sitting.recorded == [run for run in ALL if run[0] not in ("paa", "atss")]


def test_at_the_end_of_the_time_runs_end_and_what_was_done_is_recorded(sitting: Sitting) -> None:
    """One run saves on SIGTERM, another is just done."""
    saves = "trap 'exit 75' TERM; sleep 9 & wait"
    sitting.commands = {("teacher", 0): saves, ("paa", 0): f"trap '{DONE}; exit 0' TERM; sleep 9 & wait"}
    since = time.monotonic()
    assert sitting.go(parallel=2, seconds=0.5) == [("paa", 0)]
    assert time.monotonic() - since < 5
    sitting.commands.clear()
    assert sitting.go() == ALL


@pytest.mark.parametrize("number", EXIT_CODES)
def test_a_signal_ends_the_runs_first(sitting: Sitting, number: signal.Signals) -> None:
    sitting.commands = {("teacher", 0): "trap 'touch {0}/saved; exit 75' TERM; mkdir -p {0}; sleep 9 & wait"}
    threading.Timer(0.5, os.kill, (os.getpid(), number)).start()
    with pytest.raises(Interrupted) as end:
        sitting.go()
    assert end.value.signal == number
    assert (sitting.workdir("teacher", 0) / "saved").exists() and not sitting.recorded


def test_what_another_machine_has_in_hand_is_left_to_it_and_waited_for(sitting: Sitting) -> None:
    workdir, held, released = sitting.workdir("teacher", 0), threading.Event(), threading.Event()
    workdir.mkdir(parents=True)

    def other() -> None:
        with lock.hold(workdir):
            held.set()
            released.wait(20)
            (workdir / "checkpoints/1").mkdir(parents=True)

    def release_when_alone() -> None:
        while ("atss", 1) not in sitting.recorded:
            time.sleep(0.05)
        released.set()

    threads = [threading.Thread(target=other), threading.Thread(target=release_when_alone)]
    for thread in threads:
        thread.start()
    assert held.wait(20) and sitting.go() == ALL
    for thread in threads:
        thread.join()
    assert ("teacher", 0) not in sitting.started
    assert sitting.started[-1] == ("lad", 0), "its student comes when it is done"


def test_a_teacher_whose_weights_are_gone_is_trained_again(sitting: Sitting) -> None:
    """Its record stays, and no other run is repeated."""
    sitting.pairs = [pair for pair in sitting.pairs if pair[0].key[1] != "lad"]
    sitting.go()
    [file] = sitting.places.records.glob(f"{sitting.runs['', 'teacher', 0].name}/seed_0*")
    before = file.stat().st_mtime_ns
    for folder in sitting.places.workdirs.glob("*/*"):
        folder.rename(folder.with_name(f"gone_{folder.name}"))
    sitting.started.clear()
    sitting.pairs = list(in_order(SMALL, sitting.runs, 2))
    assert sitting.go() == ALL
    assert sorted(sitting.started) == [(name, seed) for name in ("lad", "paa", "teacher") for seed in (0, 1)]
    assert file.stat().st_mtime_ns == before
