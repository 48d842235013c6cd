"""What is open about GPUs, by worth until a limit of time: values, times by part, memory, a short training.

    bash benchmarks/gpu/prepare.sh                                  # where there is a network: fills .gpu
    bash benchmarks/gpu/run.sh --seconds=540 --output=runs/gpu      # with a GPU, without a network, .gpu carried along
    python -m benchmarks.gpu.driver --dry                           # small sizes on a CPU, to try all steps

One after the other, in the order of their worth, each alone on the device: eleven at once took four minutes on an H200
to compile what one alone compiles in 40 s, as XLA times its kernels while others use the device. With the variable
JAX_COMPILATION_CACHE_DIR a second command (--only=…) finds the programs of the first.

`results.json` in the output folder is written again after each step, so that what is cut off loses one step. The tables
of the steps lie beside it and are printed as they come, at last a table of all; `profile` has the events of PAA's step,
and its program. Exit 1 where a step failed.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from absl import app, flags

from benchmarks.gpu._process import ROOT, Process, Step
from benchmarks.gpu._steps import DRY_CANVAS, TRAINING, make_steps

FLAGS = flags.FLAGS
flags.DEFINE_float("seconds", 540, "When all is to have ended.")
flags.DEFINE_bool("dry", False, "Small sizes, for a CPU.")
flags.DEFINE_string("output", "runs/gpu", "Folder for results and logs.")
flags.DEFINE_string("carried", ".gpu", "Folder that prepare.sh has filled.")
flags.DEFINE_list("only", [], "Names of steps; empty: all.")
flags.DEFINE_string("forms", "", "Folder of copies of the project to be timed beside it; they take the same flags.")

LEAST = 15
"""What no step does with less [seconds]."""


class Driver:
    """Runs steps within the time, and keeps what they find."""

    def __init__(self, seconds: float, output: Path, scratch: Path) -> None:
        self.end, self.output, self.scratch = time.monotonic() + seconds, output, scratch
        self.results: dict[str, Any] = {}
        self.running: Process | None = None
        output.mkdir(parents=True, exist_ok=True)

    @property
    def left(self) -> float:
        """Seconds."""
        return self.end - time.monotonic()

    def env(self) -> dict[str, str]:
        """A step's environment: one cache for all, which the variables for JAX's may name."""
        cache = {
            "JAX_COMPILATION_CACHE_DIR": str(self.scratch / "cache"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "TORCHINDUCTOR_CACHE_DIR": str(self.scratch / "inductor"),
        }
        return {**cache, **os.environ}

    def note(self, step: Step, found: dict[str, Any]) -> None:
        self.results[step.name] = found
        part = self.output / "results.part"
        part.write_text(json.dumps(self.results, indent=1))
        part.rename(self.output / "results.json")

    def run(self, step: Step) -> None:
        """One step, within its limit and what is left."""
        limit = min(step.limit, self.left - step.grace - 5)
        if limit < LEAST:
            self.note(step, {"outcome": "skipped", "output": f"{self.left:.0f} s were left"})
            return
        self.running = process = Process(step, self.output, self.env())
        process.wait(limit)
        process.stop(step.grace)
        self.running = None
        found = process.outcome()
        print(f"== {step.name}: {found['outcome']}, {found['seconds']:.0f} s\n\n{found['output']}", flush=True)
        self.note(step, found)

    def summary(self) -> str:
        """A row for each step, with figures of those that have one."""
        lines = ["| step | outcome | s | images/s | ms | peak memory of the device [MB] |", "|---|---|---|---|---|---|"]
        for name, found in self.results.items():
            content = found.get("figures", {})
            figures = content.get("figures", {}) if isinstance(content, dict) else {}
            values = [figures.get(key) for key in ("images/s", "ms", "peak memory of the device [MB]")]
            cells = [name, found["outcome"], f"{found.get('seconds', 0):.0f}"]
            lines.append(f"| {' | '.join([*cells, *('-' if v is None else f'{v:.4g}' for v in values)])} |")
        return "\n".join(lines)


def make_expected(file: Path) -> None:
    """The values of a CPU, at the sizes of a dry run."""
    command = [sys.executable, "-m", "benchmarks.gpu.smoke", f"--make={file}", *DRY_CANVAS]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "JAX_PLATFORMS": "cpu"}, check=True)


def data_found(carried: Path) -> bool:
    """Whether there are data for the training, carried along or where configs look for them."""
    if (carried / "shared").exists():
        os.environ["LAD_SHARED"] = str(carried / "shared")
    return (Path(os.environ.get("LAD_SHARED", ROOT.parent / "shared")) / "data/bccd").exists()


def training_figures(workdir: Path) -> list[dict[str, Any]]:
    """The evaluations of a run, and the last line of its log of steps."""
    file = workdir / "metrics.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [row for row in rows if "evaluation" in row] + [row for row in rows if "evaluation" not in row][-1:]


def drive(driver: Driver) -> None:
    """All steps that are wanted, in their order."""
    carried = Path(FLAGS.carried).resolve()
    expected = driver.scratch / "expected.npz" if FLAGS.dry else carried / "expected.npz"
    forms = sorted(folder.resolve() for folder in Path(FLAGS.forms).iterdir()) if FLAGS.forms else []
    left_out = () if FLAGS.dry or data_found(carried) else (TRAINING,)
    kept = driver.output / "profile"
    steps = make_steps(driver.scratch, kept=kept, dry=FLAGS.dry, expected=expected, forms=forms)
    names = [step.name for step in steps]
    if unknown := sorted(set(FLAGS.only) - set(names)):
        sys.exit(f"error: --only names {', '.join(unknown)}; known are {', '.join(names)}")
    for step in steps:
        if step.name in left_out or (FLAGS.only and step.name not in FLAGS.only):
            continue
        if FLAGS.dry and step.name == "values":
            make_expected(expected)
        driver.run(step)
        if step.name == TRAINING:
            driver.note(step, {**driver.results[step.name], "figures": training_figures(driver.scratch / "training")})


def main(_: list[str]) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("error: stopped from outside"))
    scratch = Path(tempfile.mkdtemp(prefix="lad_jax_gpu_"))
    driver = Driver(FLAGS.seconds, Path(FLAGS.output).resolve(), scratch)
    try:
        drive(driver)
    finally:
        if driver.running:
            driver.running.stop()
        shutil.rmtree(scratch, ignore_errors=True)
        print(driver.summary(), flush=True)
    sys.exit(any(found["outcome"] == "failed" for found in driver.results.values()))


if __name__ == "__main__":
    app.run(main)
