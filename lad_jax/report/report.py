"""A report of runs: their recordings and logs as one page of limited size."""

import datetime
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lad_jax.errors import InputError
from lad_jax.paths import make_folder
from lad_jax.report.curves import make_curves, overall, read_log
from lad_jax.report.errors import errors_of
from lad_jax.report.page import write_page
from lad_jax.report.pictures import make_detections, make_evaluated, make_pictures
from lad_jax.report.recordings import Id, Recording, common_ids, names_of, read_recording

MOST_BYTES = 19_000_000
"""Most bytes of a page's data; with all else it stays below 20 MB."""
FEW = 4
"""Number of evaluations from which on pictures are left out rather than more evaluations."""


def report(workdirs: Sequence[Path], output: Path, n_pictures: int | None = None) -> list[str]:
    """Write the report of runs; returns lines that say where it is and what was left out.

    Args:
      workdirs: folders of the runs.
      output: the page.
      n_pictures: largest number of pictures; None: all that were recorded.

    Raises:
      InputError: a run has no recording, runs cannot be compared, or the page cannot be written.
    """
    if output.is_dir():
        raise InputError(f"--output {output} is a folder: give a file, such as {output / 'report.html'}.")
    make_folder(output.absolute().parent, "the folder of --output,")
    data = make_report(workdirs, n_pictures)
    write_page(data, output)
    size = output.stat().st_size / 1e6
    return [*data["notes"], f"{output} ({size:.1f} MB): open it in a browser."]


def make_report(workdirs: Sequence[Path], n_pictures: int | None = None) -> dict[str, Any]:
    """The data of a report; see `report`.

    What would be too large has fewer evaluations, but four if there are as many; then fewer pictures.
    """
    recordings, names = [read_recording(workdir) for workdir in workdirs], names_of(workdirs)
    ids, n = common_ids(recordings)[:n_pictures], max(len(run.evaluations) for run in recordings)

    def size_of(n_evaluations: int) -> int:
        return len(json.dumps(_data(recordings, names, ids, n_evaluations), separators=(",", ":")))

    def number_that_fits() -> int:
        """Judged by the last evaluation of each run."""
        base, one = size_of(0), size_of(1)
        return (MOST_BYTES - base) // (one - base)

    while (fits := number_that_fits()) < min(n, FEW) and len(ids) > 1:
        ids = ids[: math.floor(0.75 * len(ids))]
    n = max(1, min(n, fits))
    while n > 1 and size_of(n) > MOST_BYTES:
        n -= 1
    return _data(recordings, names, ids, n)


def _data(recordings: Sequence[Recording], names: Sequence[str], ids: list[Id], n_evaluations: int) -> dict[str, Any]:
    """The data of a report of some of the pictures and evaluations."""
    first = recordings[0]
    return {
        "version": 1,
        "title": " against ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}",
        "made": datetime.date.today().isoformat(),
        "notes": _notes(recordings, names, ids, n_evaluations),
        "class_names": first.about["class_names"],
        "pictures": make_pictures(first, ids),
        "runs": [_run(run, name, ids, n_evaluations) for run, name in zip(recordings, names, strict=True)],
    }


def _run(run: Recording, name: str, ids: list[Id], n_evaluations: int) -> dict[str, Any]:
    lines, evaluated = read_log(run.workdir), run.about["evaluated"]
    evaluations = [
        {
            "step": each.step,
            "epoch": each.about["epoch"],
            "overall": overall(lines, evaluated, each.step),
            "pictures": [make_evaluated(run, number, each.pictures[number]) for number in ids],
        }
        for each in _spread(run.evaluations, n_evaluations)
    ]
    return {
        "name": name,
        **{key: run.about[key] for key in ("method", "assigner", "networks", "costs_from")},
        "curves": make_curves(lines, evaluated),
        "evaluations": evaluations,
        "detections": [make_detections(last.pictures[number]) for last in run.evaluations[-1:] for number in ids],
        "errors": errors_of(run.workdir, ids),
    }


def _notes(recordings: Sequence[Recording], names: Sequence[str], ids: list[Id], n_evaluations: int) -> list[str]:
    """Lines about what the report has not."""
    notes = [f"{len(ids)} of {recordings[0].about['of']} validation pictures"]
    for run, name in zip(recordings, names, strict=True):
        if n_evaluations < (n := len(run.evaluations)):
            notes.append(f"{n_evaluations} of {n} evaluations of {name}")
    return notes


def _spread(items: Sequence[Any], n: int) -> list[Any]:
    """At most so many of the items, spread evenly, with the last; the first too if there are several."""
    if len(items) <= n:
        return list(items)
    return [items[i] for i in np.linspace(len(items) - 1, 0, n).round().astype(int)[::-1]]
