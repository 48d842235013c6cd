"""Pictures of a study's report: differences with their intervals, and AP over epochs."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lad_jax.study.report import Compared, Report, Trained

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Colours of Okabe and Ito, which the colour-blind can tell apart."""


def write_plots(report: Report, folder: Path) -> list[Path]:
    """Write `differences.svg`, and `curves.svg` where runs were evaluated more than once; the files."""
    files = []
    compared = [row for row in report.compared if row.pairs]
    curved = [row for row in report.trained if any(len(curve) > 1 for curve in row.curves)]
    # The salt: the same figures give the same file.
    with matplotlib.rc_context({"svg.hashsalt": "lad_jax", "font.size": 9}):
        if compared:
            files.append(_save(_differences(compared), folder / "differences.svg"))
        if curved:
            files.append(_save(_curves(curved), folder / "curves.svg"))
    return files


def _save(figure: Figure, file: Path) -> Path:
    figure.savefig(file, metadata={"Date": None}, bbox_inches="tight")
    return file


def _differences(rows: Sequence[Compared]) -> Figure:
    """One line a comparison: a small dot a seed, the mean with its interval over seeds."""
    figure = Figure(figsize=(7, 0.6 + 0.4 * len(rows)))
    axes = figure.subplots()
    axes.axvline(0, color="grey", linewidth=0.8)
    for y, row in enumerate(rows):
        differences = [ours - theirs for ours, theirs in row.pairs]
        mean = float(np.mean(differences))
        if row.difference:
            axes.plot([row.difference.low, row.difference.high], [y, y], color=COLOURS[0], linewidth=2)
        axes.plot(mean, y, "D", color=COLOURS[0], markersize=6)
        axes.plot(differences, [y] * len(differences), "o", color="black", alpha=0.5, markersize=3)
    axes.set_yticks(
        range(len(rows)), [", ".join(filter(None, (f"{row.condition} − {row.baseline}", row.data))) for row in rows]
    )
    axes.invert_yaxis()
    axes.set_xlabel("difference of AP [points]: seeds, mean, 95 % interval over seeds")
    return figure


def _curves(rows: Sequence[Trained]) -> Figure:
    """One picture a data set: AP over epochs, mean and standard deviation over seeds."""
    sets = list(dict.fromkeys(row.data for row in rows))
    figure = Figure(figsize=(7, 3.5 * len(sets)))
    for axes, data in zip(figure.subplots(len(sets), squeeze=False)[:, 0], sets, strict=True):
        for row, colour in zip([row for row in rows if row.data == data], cycle(COLOURS), strict=False):
            _curve(axes, row, colour)
        axes.set_title(data)
        axes.set_xlabel("epoch")
        axes.set_ylabel("AP")
        axes.legend(frameon=False)
    return figure


def _curve(axes: Axes, row: Trained, colour: str) -> None:
    """Mean and standard deviation over the seeds, at the epochs that all of them have."""
    epochs = sorted(set.intersection(*({epoch for epoch, _ in curve} for curve in row.curves)))
    values = np.array([[dict(curve)[epoch] for epoch in epochs] for curve in row.curves])
    mean, spread = values.mean(axis=0), values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(len(epochs))
    axes.plot(epochs, mean, color=colour, label=row.label)
    axes.fill_between(epochs, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)
