"""The demo: train a teacher, and students by every method, on drawn pictures; print a table, draw what happened.

Every stage is an ordinary run of `main.py` in another workdir; stages that are done are not run again.

    python -m scripts.demo --output=runs/demo
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np

import lad_jax
from configs import demo
from lad_jax.assign import make_assigner
from lad_jax.data import eval_batches, make_eval_plan, open_dataset
from lad_jax.distill import METHODS, SwitchOptions, assign_batch
from lad_jax.evaluation.evaluator import draw_results
from lad_jax.priors import make_priors
from lad_jax.types import Scene
from lad_jax.visualize import draw_priors, stack, write_png

ROOT = Path(__file__).parent.parent
STAGES = {
    "teacher": "PAA",
    "paa": "PAA",
    "soft_label": "soft label",
    "lad": "LAD",
    "solad": "SoLAD",
    "colad": "CoLAD",
}
"""Variants of `configs/demo.py`, in order, with the method's name in the table."""
NETWORKS = {"teacher": "R18", "student": "R10"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("runs/demo"), help="folder of the workdirs and pictures")
    parser.add_argument(
        "arguments", nargs="*", help="further arguments of main.py, such as --config.model.dtype=bfloat16"
    )
    options = parser.parse_args()
    output: Path = options.output.absolute()

    seconds = {stage: train(stage, output, options.arguments) for stage in STAGES}
    table = format_table(output, seconds)
    (output / "table.md").write_text(table)
    print("\n" + table)
    for file in draw(output):
        print(f"picture: {file}")


def train(stage: str, output: Path, arguments: list[str]) -> float:
    """Run one stage, unless the same command was run before; the seconds that it took."""
    workdir = output / stage
    note = workdir / "demo.json"
    command = [sys.executable, "main.py", f"--config=configs/demo.py:{stage}", f"--workdir={workdir}"]
    if has_frozen_teacher(stage):
        command.append(f"--config.teacher.path={output / 'teacher'}")
    command += arguments
    if note.exists():
        done = json.loads(note.read_text())
        if done["command"] == command:
            return done["seconds"]
    print("$ " + " ".join(command), flush=True)
    since = time.monotonic()
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    seconds = round(time.monotonic() - since, 1)
    note.write_text(json.dumps({"command": command, "seconds": seconds}))
    return seconds


def has_frozen_teacher(stage: str) -> bool:
    return bool(METHODS[demo.method_of(stage)].frozen)


def format_table(output: Path, seconds: dict[str, float]) -> str:
    """Table of method, teacher and AP of each trained network."""
    rows = ["| network | method | teacher | AP | AP50 | AP75 | seconds |", "|---|---|---|---|---|---|---|"]
    for stage, method in STAGES.items():
        for network, metrics in json.loads((output / stage / "metrics.json").read_text()).items():
            numbers = metrics["overall"]
            name = NETWORKS["teacher" if "teacher" in (stage, network) else "student"]
            partner = "R18, frozen" if has_frozen_teacher(stage) else "-"
            if stage == "colad":
                partner = "R18, learning" if network == "student" else "R10, learning"
            cells = [name, method, partner]
            cells += [f"{100 * numbers[key]:.1f}" for key in ("AP", "AP50", "AP75")] + [f"{seconds[stage]:.0f}"]
            rows.append("| " + " | ".join(cells) + " |")
    rows += [
        "",
        "One seed: a point or two mean nothing. docs/results.md has several seeds.",
        "",
    ]
    return "\n".join(rows)


def draw(output: Path) -> list[Path]:
    """Draw detections beside ground truth for each stage, and the priors responsible for one picture's objects."""
    files = []
    options = lad_jax.load(output / "lad").options
    dataset = open_dataset(options.data, "val")
    crowded = int(np.argmax([len(record.labels) for record in dataset.records]))
    for stage in STAGES:
        detections = json.loads((output / stage / "detections.json").read_text())
        files.append(output / f"detections_{stage}.png")
        write_png(files[-1], stack([draw_results(dataset, i, detections) for i in (crowded, 0, 1)]))
    files.append(output / "responsible.png")
    write_png(files[-1], draw_responsible(output, options, dataset, crowded))
    return files


def draw_responsible(output: Path, options: lad_jax.RunOptions, dataset, position: int) -> np.ndarray:
    """Draw a row for each method: its positive priors for each object of a picture, level by level."""
    plan = make_eval_plan(dataset, options.data, batch_size=1)
    batch = next(b for b in eval_batches(dataset, plan, options.data) if b.position[0] == position)
    canvas = make_priors(batch.canvas, options.model.strides, options.model.anchor_scale)
    priors = jax.tree.map(lambda x: np.asarray(x)[None], canvas)
    scene = Scene(priors, batch.truth, batch.pictures.image_hw, np.zeros(1, np.float32))
    sources = {
        "paa": {"student": ("paa", "student")},
        "lad": {"teacher": ("teacher", "student")},
        "colad": {"student": ("colad", "student"), "teacher": ("colad", "teacher")},
    }
    rows = []
    for name, networks in sources.items():
        predictions = {}
        for network, (stage, saved_as) in networks.items():
            trained = lad_jax.load(output / stage, saved_as)
            images, image_hw, _ = batch.pictures
            predictions[network] = jax.jit(trained.model.apply)(trained.variables, images, image_hw)
        assigned = assign_batch(
            predictions,
            scene,
            method=METHODS[demo.method_of(name)],
            assigner=make_assigner(options.assigner),
            switch=SwitchOptions(),
        )
        one = jax.tree.map(lambda x: np.asarray(x)[0], (assigned.assignment, batch.truth))
        rows.append(draw_priors(batch.pictures.images[0], canvas, *one))
    captions = ["PAA: by the student's costs", "LAD: by its teacher's costs", "CoLAD: by the better of the two"]
    return stack(rows, captions)


if __name__ == "__main__":
    main()
