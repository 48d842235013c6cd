"""A study's file, and the files that its report is written to."""

import dataclasses
import importlib.util
import json
from pathlib import Path

from lad_jax.errors import InputError, place_of, reason_of
from lad_jax.files import write_whole
from lad_jax.study.nouns import Study
from lad_jax.study.report import Report
from lad_jax.study.tables import format_report


def load_study(file: Path) -> Study:
    """The study that a Python file's `get_study()` gives.

    Raises:
      InputError: there is no such file, or it gives none; names the file, and the line of an error in it.
    """
    if not file.is_file():
        raise InputError(f"there is no study {file}: give the path of a Python file, such as studies/methods.py.")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        study = module.get_study()
    except Exception as error:
        raise InputError(f"study {file} cannot be read. {reason_of(error)} ({place_of(error)})") from error
    if not isinstance(study, Study):
        raise InputError(f"study {file}: get_study() gives {study!r}, not a lad_jax.study.Study.")
    return study


def write_report(report: Report, folder: Path) -> None:
    """Write `table.md`, `report.json` and, where there is something to draw, plots."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "table.md", format_report(report))
    write_whole(folder / "report.json", json.dumps(dataclasses.asdict(report), indent=1) + "\n")
    from lad_jax.study.plots import write_plots  # matplotlib takes a second to import

    write_plots(report, folder)
