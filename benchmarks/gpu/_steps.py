"""What is to be found out on a GPU, in the order of its worth."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu._process import Step

NO_GRAPHS = {"XLA_FLAGS": "--xla_gpu_enable_command_buffer="}
"""A graph of kernels may hide their names from a profile."""
REMAT = ("--config.model.remat_towers=True", "--config.model.backbone.remat=True")
DRY_CANVAS = ("--height=64", "--width=96")


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
TRAINING = "training"
"""Name of the step that trains BCCD by its recipe."""


def make_steps(folder: Path, *, kept: Path, dry: bool, expected: Path, forms: Iterable[Path]) -> list[Step]:
    """All steps, in their order.

    Args:
      folder: for what they write.
      kept: folder for the profile of PAA's step.
      dry: small sizes, for a CPU.
      expected: results of a CPU, for the check of values.
      forms: other copies of the project, whose step and inference are timed beside.
    """
    to = Commands(dry)
    runs = "--runs=2" if dry else "--runs=9"
    timed = (runs, "--profiled=0")
    smoke = to.program("gpu.smoke", f"--check={expected}", *(DRY_CANVAS if dry else ()))
    before = [
        Step(f"{name} {form.name}", words, cwd=form)
        for form in forms
        for name, words in {"PAA": to.step(PAA, *timed), "inference": to.inference(runs)}.items()
    ]
    return [
        Step("PAA", to.step(PAA, *timed), 150),
        _training(to, folder),
        Step("LAD", to.step(LAD, *timed), 120),
        Step("PAA by part", to.step(PAA, "--runs=2", "--profiled=3", f"--keep={kept}"), 120, env=NO_GRAPHS),
        Step("inference", to.inference(runs), 120),
        Step("values", smoke, 120),
        *before,
        Step("CoLAD", to.step(COLAD, *timed), 150),
        *_beside_torchvision(to, timed),
        *_small(to),
        *_of_less_worth(to, timed),
    ]


def _training(to: Commands, folder: Path) -> Step:
    """BCCD by its recipe; early, as nothing else tries the whole program on a GPU."""
    config = to.config(PAA) if to.dry else "configs/small_sets.py:bccd"
    words = (sys.executable, "main.py", f"--config={config}", f"--workdir={folder / 'training'}")
    return Step(TRAINING, words, 240, grace=25, json=False)


def _beside_torchvision(to: Commands, timed: tuple[str, ...]) -> list[Step]:
    """PAA in turns with each detector, whose networks torch compiles first."""
    detectors = ("fcos_resnet50_fpn",) if to.dry else ("fcos_resnet50_fpn", "retinanet_resnet50_fpn_v2")
    return [Step(f"PAA beside {name.split('_')[0]}", to.step(PAA, *timed, beside=name), 200) for name in detectors]


def _small(to: Commands) -> list[Step]:
    """The assignment alone, the loader, and the device's limits."""
    assignment = (*DRY_CANVAS, "--batch=2", "--objects=3") if to.dry else ()
    loader = (*DRY_CANVAS, "--short_side=64", "--batch=2", "--batches=2", "--rounds=1", "--files=4") if to.dry else ()
    return [
        Step("assignment", to.program("assign", "--literal=", *assignment), 100),
        Step("machine", to.program("gpu.machine", *(("--small",) if to.dry else ())), 40),
        Step("loader", to.program("loader", "--workers=0" if to.dry else "--workers=0,4,8", *loader), 60),
    ]


def _of_less_worth(to: Commands, timed: tuple[str, ...]) -> list[Step]:
    """Other forms of PAA's step."""
    in_two = ("--config.train.batch_size=16", "--config.train.accumulate=2")
    return [
        Step("PAA with remat", to.step(PAA, *timed, *REMAT), 140),
        Step("PAA in two parts", to.step(PAA, *timed, *in_two), 140),
    ]
