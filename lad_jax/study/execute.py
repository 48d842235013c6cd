"""Doing the runs of a study that are not there yet: several at a time, up to a deadline, beside other machines."""

import contextlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lad_jax.errors import InputError
from lad_jax.run import lock
from lad_jax.run.states import training_state
from lad_jax.study.records import Record, file_name, make_record, read_records, write_record
from lad_jax.study.runs import StudyRun

POLL_S = 0.5
"""Time between two looks at the processes of runs [seconds]."""
LOG = "log.txt"
"""File in a workdir with what its run has said."""
Pairs = Sequence[tuple[StudyRun, StudyRun]]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Places:
    """Folders of a study, and its share of this machine."""

    workdirs: Path
    records: Path
    parallel: int = 1
    """Number of runs at a time, among which the cores are divided."""
    seconds: float = float("inf")
    """Time after which runs are ended, saved [seconds]."""


def lacking(pairs: Pairs, records: Sequence[Record], machine: str) -> list[StudyRun]:
    """Runs that pairs need on machines of one kind, in their order, each teacher before those that it serves.

    A pair needs nothing more where both of its runs were done on one kind of machine, whichever.
    """
    machines: dict[tuple[str, int], set[str]] = {}
    for record in records:
        machines.setdefault((record.run, record.seed), set()).add(record.machine)
    needed: list[StudyRun] = []
    for pair in pairs:
        done = [machines.get((run.name, run.seed), set()) for run in pair]
        if not done[0] & done[1]:
            needed += [run for run, there in zip(pair, done, strict=True) if machine not in there]
    return list(dict.fromkeys(step for run in needed for step in (*_teachers(run), run)))


def machine_of(cores: Sequence[int]) -> str:
    """Kind of machine that a run with these cores finds; asked in a process of its own, since it opens the devices.

    Raises:
      InputError: the process failed.
    """
    program = "from lad_jax.run.environment import machine; print(machine())"
    with _confined(cores):
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    if result.returncode:
        raise InputError(f"JAX finds no device here:\n{result.stderr[-2000:]}")
    return result.stdout.strip()


def execute(pairs: Pairs, places: Places) -> None:
    """Do the runs that `lacking` names, and write their records; what was begun is gone on with.

    Runs that another machine has in hand are left to it, and waited for where nothing else is left to do. A run that
    fails ends only those that need it. SIGTERM and Ctrl-C end the runs under way, which save first.

    Raises:
      InputError: some runs have failed; names them.
    """
    shares = _shares(places.parallel)
    machine = machine_of(shares[0])
    _log.info("machine: %s", machine)
    work = _Execution(pairs, places, machine, places.workdirs / file_name(machine), shares)
    try:
        work.work()
    finally:
        work.end_all()
    hours = (time.monotonic() - work.since) / 3600
    _log.info("%d run(s) in %.2f hours, %.1f an hour", work.finished, hours, work.finished / max(hours, 1e-6))
    if work.failed:
        folders = "\n  ".join(work.failed.values())
        raise InputError(f"these runs have failed; each folder's {LOG} says why:\n  {folders}")


@dataclass
class _Execution:
    """Runs of a study under way."""

    pairs: Pairs
    places: Places
    machine: str
    workdirs: Path
    """Folder of the runs of machines of this kind."""
    free: list[tuple[int, ...]]
    """Shares of the cores that have no run."""
    running: dict[StudyRun, tuple[subprocess.Popen[bytes], tuple[int, ...]]] = field(default_factory=dict)
    failed: dict[StudyRun, str] = field(default_factory=dict)
    """Runs that have failed, or that cannot be begun, with their folders."""
    finished: int = 0
    since: float = field(default_factory=time.monotonic)

    def work(self) -> None:
        """Start runs as cores get free, until all are done, the time is over, or only failed ones are left."""
        while time.monotonic() - self.since < self.places.seconds:
            self.reap()
            if self.free:
                run, waits = self.next_run()
                if run:
                    self.start(run)
                    continue
                if not (self.running or waits):
                    return
            time.sleep(POLL_S)
        _log.info("the time is over: the runs under way save, and end")

    def next_run(self) -> tuple[StudyRun | None, bool]:
        """The first run that can be started, if any; and whether some are in other hands, or wait for such."""
        waits = False
        for run in lacking(self.pairs, read_records(self.places.records), self.machine):
            if run in self.running or run in self.failed:
                continue
            if run.teacher in self.failed:
                self.failed[run] = f"{self._workdir(run)} (its teacher has failed)"
            elif lock.living_holder(self._workdir(run)):
                waits = True
            elif self._is_done(run):
                self.record(run)
            elif not run.teacher or self._is_done(run.teacher):
                return run, waits
        return None, waits

    def start(self, run: StudyRun) -> None:
        """Start a run, or go on with it, on cores that are free."""
        cores, workdir = self.free.pop(), self._workdir(run)
        workdir.mkdir(parents=True, exist_ok=True)
        command = run.command(self.workdirs)
        environment = os.environ | {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.9 / self.places.parallel:.2f}"}
        with (workdir / LOG).open("ab") as log, _confined(cores):
            # In a session of its own, it gets no Ctrl-C beside this program's signal.
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        self.running[run] = process, cores
        _log.info("begins: %s", _describe(run))

    def reap(self) -> None:
        """Record the runs whose processes have ended."""
        for run, (process, cores) in list(self.running.items()):
            status = process.poll()
            if status is None:
                continue
            del self.running[run]
            self.free.append(cores)
            if self._is_done(run):
                self.record(run)
            elif not lock.living_holder(self._workdir(run)):  # another machine may have been faster
                self.failed[run] = str(self._workdir(run))
                _log.error("exit status %s: %s", status, _describe(run))

    def record(self, run: StudyRun) -> None:
        """Write the record of a run that is done, unless there is one: of a teacher that had to be trained again."""
        there = read_records(self.places.records)
        if any((r.run, r.seed, r.machine) == (run.name, run.seed, self.machine) for r in there):
            return
        try:
            record = make_record(run, self._workdir(run))
        except InputError as error:
            self.failed[run] = str(self._workdir(run))
            _log.error("no record of %s: %s", _describe(run), error)
            return
        write_record(record, self.places.records)
        self.finished += 1
        ap = ", ".join(f"{network} {100 * (values['AP'] or 0):.1f}" for network, values in record.metrics.items())
        _log.info("done: %s: AP %s", _describe(run), ap)

    def end_all(self) -> None:
        """End the runs under way, which save first."""
        for process, _ in self.running.values():
            process.terminate()
        for process, _ in self.running.values():
            process.wait()

    def _workdir(self, run: StudyRun) -> Path:
        return run.workdir(self.workdirs)

    def _is_done(self, run: StudyRun) -> bool:
        return training_state(self._workdir(run), run.options.train.epochs) == "done"


def _teachers(run: StudyRun) -> list[StudyRun]:
    """The teachers that have to be trained before a run, the first one first."""
    return [*_teachers(run.teacher), run.teacher] if run.teacher else []


def _describe(run: StudyRun) -> str:
    data, condition, seed = run.key
    return ", ".join(filter(None, (condition, data, f"seed {seed}")))


def _shares(parallel: int) -> list[tuple[int, ...]]:
    """Equal shares of the cores that this process may use; empty ones where the system knows no such thing.

    Raises:
      InputError: there are fewer cores than runs.
    """
    if not hasattr(os, "sched_getaffinity"):
        return [()] * parallel
    cores = sorted(os.sched_getaffinity(0))
    size = len(cores) // parallel
    if not size:
        raise InputError(f"--parallel is {parallel}, but there are {len(cores)} core(s).")
    return [tuple(cores[i * size : (i + 1) * size]) for i in range(parallel)]


@contextlib.contextmanager
def _confined(cores: Sequence[int]) -> Iterator[None]:
    """Give processes that are started in the block these cores only: their threads do not fight with others'."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
