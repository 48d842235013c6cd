"""What is to be found out on a GPU, in the order of its worth."""

import sys
from collections.abc import Iterable
from dataclasses import replace
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


def make_steps(folder: Path, *, dry: bool, expected: Path, forms: Iterable[Path]) -> Steps:
    """All steps.

    Args:
      folder: for what they write.
      dry: small sizes, for a CPU.
      expected: results of a CPU, for the check of values.
      forms: other copies of the project, whose step and inference are timed beside.
    """
    configs = "configs/narrow.py" if dry else "configs/paper.py"
    canvas = DRY_CANVAS if dry else ("--height=800", "--width=1344")
    dtype = () if dry else ("--config.model.dtype=bfloat16", "--config.teacher.model.dtype=bfloat16")
    runs, once = ("--runs=2" if dry else "--runs=9"), ("--runs=1", "--profiled=0")

    def program(name: str, *words: str) -> tuple[str, ...]:
        return (sys.executable, "-m", f"benchmarks.{name}", *words)

    def step(row: str, *words: str, beside: str = "") -> tuple[str, ...]:
        batch = "--batch=2" if dry else "--batch=16"
        return program("step", f"--config={configs}:{row}", *canvas, batch, *dtype, f"--beside={beside}", *words)

    def inference(*words: str) -> tuple[str, ...]:
        batches = "--batch=1,2" if dry else "--batch=1,16"
        return program("inference", f"--config={configs}:paa_r50_1x", *canvas, batches, *dtype, "--beside=", *words)

    timed = (runs, "--profiled=0")
    paa, lad, colad = (f"{method}_1x" for method in ("paa_r50", "lad_r50_r101", "colad_r50_r101"))
    torchvision = "fcos_resnet50_fpn" if dry else "retinanet_resnet50_fpn_v2,fcos_resnet50_fpn"
    smoke = Step("values", program("gpu.smoke", f"--check={expected}", *(DRY_CANVAS if dry else ())))
    compiling = [
        Step("compile PAA", step(paa, *once)),
        Step("compile LAD", step(lad, *once)),
        Step("compile inference", inference("--runs=1")),
        Step("compile PAA without graphs", step(paa, *once), env=NO_GRAPHS),
        Step("compile torchvision", step(paa, *once, beside=torchvision)),
    ]
    alone = [
        Step("PAA", step(paa, *timed)),
        Step("LAD", step(lad, *timed), 100),
        Step("PAA by part", step(paa, "--runs=2", "--profiled=3"), env=NO_GRAPHS),
        Step("inference", inference(runs), 70),
    ]
    for form in forms:
        of_form = [(Step(f"PAA {form.name}", step(paa, *timed))), Step(f"inference {form.name}", inference(runs))]
        alone += [replace(each, cwd=form) for each in of_form]
    assignment = (*DRY_CANVAS, "--batch=2", "--objects=3") if dry else ()
    loader = (*DRY_CANVAS, "--short_side=64", "--batch=2", "--batches=2", "--rounds=1", "--files=4") if dry else ()
    alone += [
        Step("machine", program("gpu.machine", *(("--small",) if dry else ())), 40),
        Step("assignment", program("assign", "--literal=", *assignment), 60),
        Step("PAA beside torchvision", step(paa, *timed, beside=torchvision)),
        Step("CoLAD", step(colad, *timed), 150),
        Step("loader", program("loader", "--workers=0" if dry else "--workers=0,4,8", *loader), 60),
    ]
    last = [
        Step("PAA with loops in graphs", step(paa, *timed), 140, env=LOOPS_IN_GRAPHS),
        Step("PAA with remat", step(paa, *timed, *REMAT), 140),
        Step("PAA in two parts", step(paa, *timed, "--config.train.batch_size=16", "--config.train.accumulate=2"), 140),
        # Others at work may have led XLA's choice of kernels astray.
        Step("PAA compiled alone", step(paa, *timed), 140, env={"JAX_COMPILATION_CACHE_DIR": str(folder / "alone")}),
    ]
    config = f"{configs}:{paa}" if dry else "configs/bccd_paa_r50.py"
    train = (sys.executable, "main.py", f"--config={config}", f"--workdir={folder / 'training'}")
    together = [smoke, *compiling[: 1 if dry else None]]
    return Steps(together, Step("training", train, json=False), alone, last)
