"""What is to be found out on a GPU, in the order of its worth."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.gpu._process import Step

NO_GRAPHS = {"XLA_FLAGS": "--xla_gpu_enable_command_buffer="}
"""A graph of kernels may hide their names from a profile."""
LOOPS_IN_GRAPHS = {"XLA_FLAGS": "--xla_gpu_enable_command_buffer=+WHILE,+CONDITIONAL"}
REMAT = ("--config.model.remat_towers=True", "--config.model.backbone.remat=True")
DRY_CANVAS = ("--height=64", "--width=96")


class Steps(NamedTuple):
    together: list[Step]
    """Untimed, side by side, first: the check of values, and a run of each program that fills the cache."""
    training: Step
    """A short training, beside them; what of it is left goes on after `alone`."""
    alone: list[Step]
    """Timed, one after the other, alone on the device."""
    last: list[Step]
    """The same, with what time is left after the training."""


@dataclass(frozen=True)
class Commands:
    """Command lines of the benchmarks, at the sizes of a GPU or of a dry run."""

    dry: bool
    """Small sizes, for a CPU."""

    @property
    def sizes(self) -> tuple[str, ...]:
        """Flags of canvas and dtype."""
        if self.dry:
            return DRY_CANVAS
        return "--height=800", "--width=1344", "--config.dtype=bfloat16"

    def config(self, row: str) -> str:
        """A row of the paper, narrow in a dry run."""
        return f"configs/{'narrow' if self.dry else 'paper'}.py:{row}"

    def program(self, name: str, *words: str) -> tuple[str, ...]:
        """A program of `benchmarks`."""
        return sys.executable, "-m", f"benchmarks.{name}", *words

    def step(self, row: str, *words: str, beside: str = "") -> tuple[str, ...]:
        """The training step of a row."""
        flags = f"--config={self.config(row)}", "--batch=2" if self.dry else "--batch=16", f"--beside={beside}"
        return self.program("step", *flags, *self.sizes, *words)

    def inference(self, *words: str) -> tuple[str, ...]:
        """Inference of PAA with a ResNet-50."""
        flags = f"--config={self.config(PAA)}", "--batch=1,2" if self.dry else "--batch=1,16", "--beside="
        return self.program("inference", *flags, *self.sizes, *words)


PAA, LAD, COLAD = "paa_r50_1x", "lad_r50_r101_1x", "colad_r50_r101_1x"


def make_steps(folder: Path, *, dry: bool, expected: Path, forms: Iterable[Path]) -> Steps:
    """All steps.

    Args:
      folder: for what they write.
      dry: small sizes, for a CPU.
      expected: results of a CPU, for the check of values.
      forms: other copies of the project, whose step and inference are timed beside.
    """
    to = Commands(dry)
    runs, once = ("--runs=2" if dry else "--runs=9"), ("--runs=1", "--profiled=0")
    timed = (runs, "--profiled=0")
    torchvision = "fcos_resnet50_fpn" if dry else "retinanet_resnet50_fpn_v2,fcos_resnet50_fpn"
    compiling = [
        Step("compile PAA", to.step(PAA, *once)),
        Step("compile LAD", to.step(LAD, *once)),
        Step("compile inference", to.inference("--runs=1")),
        Step("compile PAA without graphs", to.step(PAA, *once), env=NO_GRAPHS),
        Step("compile torchvision", to.step(PAA, *once, beside=torchvision)),
    ]
    alone = [
        Step("PAA", to.step(PAA, *timed)),
        Step("LAD", to.step(LAD, *timed), 100),
        Step("PAA by part", to.step(PAA, "--runs=2", "--profiled=3"), env=NO_GRAPHS),
        Step("inference", to.inference(runs), 70),
    ]
    for form in forms:
        timings = {"PAA": to.step(PAA, *timed), "inference": to.inference(runs)}
        alone += [Step(f"{name} {form.name}", words, cwd=form) for name, words in timings.items()]
    assignment = (*DRY_CANVAS, "--batch=2", "--objects=3") if dry else ()
    loader = (*DRY_CANVAS, "--short_side=64", "--batch=2", "--batches=2", "--rounds=1", "--files=4") if dry else ()
    alone += [
        Step("machine", to.program("gpu.machine", *(("--small",) if dry else ())), 40),
        Step("assignment", to.program("assign", "--literal=", *assignment), 60),
        Step("PAA beside torchvision", to.step(PAA, *timed, beside=torchvision)),
        Step("CoLAD", to.step(COLAD, *timed), 150),
        Step("loader", to.program("loader", "--workers=0" if dry else "--workers=0,4,8", *loader), 60),
    ]
    smoke = Step("values", to.program("gpu.smoke", f"--check={expected}", *(DRY_CANVAS if dry else ())))
    together = [smoke, *compiling[: 1 if dry else None]]
    return Steps(together, _training(to, folder), alone, _of_less_worth(to, folder, timed))


def _training(to: Commands, folder: Path) -> Step:
    config = to.config(PAA) if to.dry else "configs/small_sets.py:bccd"
    words = (sys.executable, "main.py", f"--config={config}", f"--workdir={folder / 'training'}")
    return Step("training", words, json=False)


def _of_less_worth(to: Commands, folder: Path, timed: tuple[str, ...]) -> list[Step]:
    """Other forms of PAA's step."""
    in_two = ("--config.train.batch_size=16", "--config.train.accumulate=2")
    return [
        Step("PAA with loops in graphs", to.step(PAA, *timed), 140, env=LOOPS_IN_GRAPHS),
        Step("PAA with remat", to.step(PAA, *timed, *REMAT), 140),
        Step("PAA in two parts", to.step(PAA, *timed, *in_two), 140),
        # Others at work may have led XLA's choice of kernels astray.
        Step("PAA compiled alone", to.step(PAA, *timed), 140, env={"JAX_COMPILATION_CACHE_DIR": str(folder / "alone")}),
    ]
