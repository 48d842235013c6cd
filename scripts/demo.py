"""The demo: train a teacher, and students by every method, on drawn pictures; print a table, and make a report.

Beside them a student whose labels another assigner gives: of its objects some have no positives.

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

from configs import demo
from lad_jax.distill import METHODS
from lad_jax.report.report import report

ROOT = Path(__file__).parent.parent
STAGES = {
    "teacher": "PAA",
    "paa": "PAA",
    "soft_label": "soft label",
    "lad": "LAD",
    "solad": "SoLAD",
    "colad": "CoLAD",
    "tal": "TAL",
}
"""Variants of `configs/demo.py`, in order, with the name of method or assigner in the table."""
RECORDED = ("--config.train.eval_every=2", "--config.report.pictures=40")
"""More evaluations and pictures than by default: the report shows how assignments change, and rare things too."""
NETWORKS = {"teacher": "R18", "student": "R10"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--output", type=Path, default=Path("runs/demo"), help="folder of the workdirs and of the report"
    )
    parser.add_argument("arguments", nargs="*", help="further arguments of main.py, such as --config.dtype=bfloat16")
    options = parser.parse_args()
    output: Path = options.output.absolute()

    seconds = {stage: train(stage, output, options.arguments) for stage in STAGES}
    table = format_table(output, seconds)
    (output / "table.md").write_text(table)
    print("\n" + table)
    print("\n".join(report([output / stage for stage in STAGES], output / "report.html")))


def train(stage: str, output: Path, arguments: list[str]) -> float:
    """Run one stage, unless the same command was run before; the seconds that it took."""
    workdir = output / stage
    note = workdir / "demo.json"
    command = [sys.executable, "main.py", f"--config=configs/demo.py:{stage}", f"--workdir={workdir}", *RECORDED]
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


if __name__ == "__main__":
    main()
