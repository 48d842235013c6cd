"""Doing the runs of a study that are not there yet: several at a time, up to a deadline, beside other machines."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lad_jax.ending import EXIT_CODES, Interrupted
from lad_jax.errors import InputError, reason_of
from lad_jax.run import lock
from lad_jax.run.states import training_state
from lad_jax.study.cores import Cores, confined, machine_of, shares
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
    """Runs that pairs need on machines of one kind, in their order, each after those that it needs.

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
    return list(dict.fromkeys(step for run in needed for step in (*_needed(run), run)))


def command_of(run: StudyRun, workdirs: Path) -> list[str]:
    """The command that starts a run, or goes on with it; those that it needs are done."""
    return [sys.executable, "-m", "lad_jax", "train", f"--config={run.config}", *run.arguments_in(workdirs)]


def execute(pairs: Pairs, places: Places) -> None:
    """Do the runs that `lacking` names, and write their records; what was begun is gone on with.

    Runs that another machine has in hand are left to it, and waited for where nothing else is left to do. A run that
    fails ends only those that need it. A signal ends the runs under way, which save first.

    Raises:
      InputError: some runs have failed; names them.
      Interrupted: SIGTERM or Ctrl-C has come.
    """
    free = shares(places.parallel)
    machine = machine_of(free[0])
    _log.info("machine: %s", machine)
    execution = _Execution(pairs, places, machine, places.workdirs / file_name(machine), free)
    for number in EXIT_CODES:
        signal.signal(number, execution.end)
    try:
        execution.go_on()
    finally:
        execution.end_all()
    hours = (time.monotonic() - execution.since) / 3600
    _log.info("%d run(s) in %.2f hours, %.1f an hour", execution.finished, hours, execution.finished / max(hours, 1e-6))
    if execution.signal:
        raise Interrupted(signal.Signals(execution.signal))
    if execution.failed:
        raise InputError("\n  ".join(["these runs have failed:", *execution.failed.values()]))


@dataclass
class _Execution:
    """Runs of a study under way."""

    pairs: Pairs
    places: Places
    machine: str
    workdirs: Path
    """Folder of the runs of machines of this kind."""
    free: list[Cores]
    """Shares of the cores that have no run."""
    running: dict[StudyRun, tuple[subprocess.Popen[bytes], Cores]] = field(default_factory=dict)
    failed: dict[StudyRun, str] = field(default_factory=dict)
    """Runs that have failed, or that cannot be begun, with what is known of why."""
    finished: int = 0
    since: float = field(default_factory=time.monotonic)
    signal: int = 0
    """Number of a signal that has come."""

    def end(self, number: int, frame: object) -> None:
        """Note a signal: the loop ends at its next turn, so that no process is started and then forgotten."""
        self.signal = number

    def go_on(self) -> None:
        """Start runs as cores get free, until all are done or have failed, the time is over, or a signal comes."""
        while not self.signal and time.monotonic() - self.since < self.places.seconds:
            self.reap()
            if self.free:
                run, waits = self.next_run()
                if run:
                    self.start(run)
                    continue
                if not (self.running or waits):
                    return
            time.sleep(POLL_S)
        _log.info("the runs under way save, and end")

    def next_run(self) -> tuple[StudyRun | None, bool]:
        """The first run that can be started, if any; and whether some are in other hands, or wait for such."""
        waits = False
        for run in lacking(self.pairs, self.records(), self.machine):
            if run in self.running or run in self.failed:
                continue
            if any(other in self.failed for other in run.needs):
                self.fail(run, "its teacher has failed" if run.teacher in self.failed else "its start has failed")
            elif any(self._is_held(one) for one in (run, *run.needs)):
                waits = True
            elif self._is_done(run):
                self.record(run)
            elif all(self._is_done(other) for other in run.needs):
                return run, waits
        return None, waits

    def records(self) -> list[Record]:
        """Records of this study's runs."""
        return read_records(self.places.records, {run.name for pair in self.pairs for run in pair})

    def start(self, run: StudyRun) -> None:
        """Start a run, or go on with it, on cores that are free."""
        cores, workdir = self.free.pop(), self._workdir(run)
        workdir.mkdir(parents=True, exist_ok=True)
        # Of a GPU each run takes its part.
        environment = {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.9 / self.places.parallel:.2f}"} | os.environ
        with (workdir / LOG).open("ab") as log, confined(cores):
            # In a session of its own, it gets no Ctrl-C beside this program's signal.
            process = subprocess.Popen(
                command_of(run, self.workdirs), stdout=log, stderr=log, env=environment, start_new_session=True
            )
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
            # A signal has ended it, or another machine was faster.
            elif status != EXIT_CODES[signal.SIGTERM] and not self._is_held(run):
                self.fail(run, f"exit status {status}; {self._workdir(run) / LOG} says why")

    def record(self, run: StudyRun) -> None:
        """Write the record of a run that is done, unless there is one: others may have needed it trained again."""
        if any((r.run, r.seed, r.machine) == (run.name, run.seed, self.machine) for r in self.records()):
            return
        try:
            record = make_record(run, self._workdir(run))
        except (OSError, LookupError, ValueError) as error:  # files that somebody has changed
            return self.fail(run, f"{self._workdir(run)} is no whole run: {reason_of(error)}; move it away")
        if record.machine != self.machine:
            return self.fail(run, f"{self._workdir(run)} was made on {record.machine}: move it away")
        write_record(record, self.places.records)
        self.finished += 1
        ap = ", ".join(f"{network} {100 * values['AP']:.1f}" for network, values in record.metrics.items())
        _log.info("done: %s: AP %s", _describe(run), ap)

    def fail(self, run: StudyRun, reason: str) -> None:
        """Note that a run has failed, which ends none but those that need it."""
        self.failed[run] = f"{_describe(run)}: {reason}"
        _log.error("failed: %s", self.failed[run])

    def end_all(self) -> None:
        """End the runs under way, which save first; those that were at their end are recorded."""
        for process, _ in self.running.values():
            process.terminate()
        for run, (process, _) in self.running.items():
            process.wait()
            if self._is_done(run):
                self.record(run)

    def _is_held(self, run: StudyRun) -> bool:
        """Whether another process is at work in the folder of a run."""
        return lock.living_holder(self._workdir(run)) is not None

    def _workdir(self, run: StudyRun) -> Path:
        return run.workdir(self.workdirs)

    def _is_done(self, run: StudyRun) -> bool:
        return training_state(self._workdir(run), run.options.train.epochs) == "done"


def _needed(run: StudyRun) -> list[StudyRun]:
    """The runs that have to be done before a run, the first one first."""
    return [step for other in run.needs for step in (*_needed(other), other)]


def _describe(run: StudyRun) -> str:
    data, condition, seed = run.key
    return ", ".join(filter(None, (condition, data, f"seed {seed}")))
