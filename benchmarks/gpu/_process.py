"""A program that the driver starts, with a limit of time, and what came of it."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Step:
    """Something to find out."""

    name: str
    command: tuple[str, ...]
    limit: float = 90.0
    """The most that it may take [seconds]."""
    grace: float = 0.0
    """How long it may take to end when that is over, for what saves its work [seconds]."""
    env: Mapping[str, str] = field(default_factory=dict)
    """What its environment has besides; `XLA_FLAGS` are added to those that there are."""
    json: bool = True
    """Whether the program takes `--json=FILE`."""
    cwd: Path = ROOT


class Process:
    """A step at work, with its children in a process group of its own."""

    def __init__(self, step: Step, folder: Path, env: Mapping[str, str]) -> None:
        """Start the step, in the environment `env`; its output and figures go into `folder`."""
        self.step, self.since = step, time.monotonic()
        stem = folder / step.name.replace(" ", "_").replace(",", "")
        self.output, self.figures = stem.with_suffix(".txt"), stem.with_suffix(".json")
        self.figures.unlink(missing_ok=True)
        flags = " ".join(filter(None, [env.get("XLA_FLAGS"), step.env.get("XLA_FLAGS")]))
        with open(self.output, "w") as output:
            self._process = subprocess.Popen(
                [*step.command, *([f"--json={self.figures}"] if step.json else [])],
                cwd=step.cwd,
                env={**env, **step.env, "XLA_FLAGS": flags},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._stopped = False

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, but no longer."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def stop(self, grace: float = 0.0) -> None:
        """End it and its children, where it has not ended: a training saves, if it is given time [seconds] for that."""
        if self.running and grace:
            self._stopped = True
            self._signal(signal.SIGTERM)
            self.wait(grace)
        if self.running:
            self._stopped = True
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def outcome(self) -> dict[str, Any]:
        """Of an ended one: `done`, `failed` or `stopped`, the end of its output, and what figures it wrote."""
        code = self._process.returncode
        found: dict[str, Any] = {
            "outcome": "stopped" if self._stopped else "failed" if code else "done",
            "exit": code,
            "seconds": round(time.monotonic() - self.since, 1),
            "output": self.output.read_text(errors="replace")[-6000:],
        }
        with contextlib.suppress(OSError, ValueError):
            found["figures"] = json.loads(self.figures.read_text())
        return found
