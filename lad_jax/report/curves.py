"""The curves of a run for a report, from its `metrics.jsonl`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lad_jax.files import read_lines
from lad_jax.types import Network

NAMES = {
    "loss": "loss",
    "positives_per_object": "positives",
    "objects_without_positives": "objects_without_positives",
    "learning_rate": "learning_rate",
    "gradient_norm": "gradient_norm",
}
"""Figures of the log that have a curve, and its name."""
Curve = dict[str, list[Any]]


def read_log(workdir: Path) -> list[dict[str, Any]]:
    """The whole lines of a run's log of figures; none where there is no log."""
    return read_lines(workdir / "metrics.jsonl")[0]


def make_curves(lines: list[dict[str, Any]], evaluated: Network) -> dict[str, Curve]:
    """Curves by name, each its `steps` and `values`.

    Args:
      lines: of the log.
      evaluated: network whose AP is the run's; those of others are named.
    """
    curves: dict[str, Curve] = {}
    for line in lines:
        for name, value in _points(line, evaluated):
            if value is not None:
                curve = curves.setdefault(name, {"steps": [], "values": []})
                curve["steps"].append(line["step"])
                curve["values"].append(value)
    return curves


def overall(lines: list[dict[str, Any]], evaluated: Network, step: int) -> dict[str, float | None]:
    """COCO's numbers of the evaluation after a step; none where it is not in the log."""
    found = [line["evaluation"] for line in lines if line["step"] == step and "evaluation" in line]
    return found[-1].get(evaluated, {}) if found else {}


def _points(line: dict[str, Any], evaluated: Network) -> Iterator[tuple[str, float | None]]:
    """Names of curves, and the line's value on each."""
    for network, numbers in line.get("evaluation", {}).items():
        yield ("AP" if network == evaluated else f"AP/{network}"), numbers["AP"]
    for name, value in line.items():
        if name in NAMES:
            yield NAMES[name], value
        elif name.startswith("teaches/"):
            yield f"share_taught/{name.removeprefix('teaches/')}", value
        elif "/loss_" in name:
            yield name, value
