"""Config files whose variants are rows of published tables, such as configs/paper.py: their ROWS."""

import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lad_jax.config_files import find_config
from lad_jax.errors import InputError
from lad_jax.options import run_name
from lad_jax.run.configs import load_options
from lad_jax.run.states import training_state


def rows_of(config: str, table: str) -> list[str]:
    """The configs of the rows of a published table, in its order.

    Args:
      config: config file with ROWS by name, each with its `tables`.
      table: name of the table; empty: all rows.

    Raises:
      InputError: the file has no such rows, or none of that table.
    """
    rows = _rows(config)
    tables = sorted(set("".join(row.tables for row in rows.values())))
    if table and table not in tables:
        raise InputError(f"--table is {table!r}, but {config} has rows of {', '.join(tables) or 'no table'}.")
    return [f"{config}:{name}" for name, row in rows.items() if table in row.tables]


def collect(configs: Sequence[str], workdirs: Path, extra: Sequence[str] = ()) -> str:
    """A table in Markdown of rows: the published AP on val [percent] beside that of the runs that are done.

    Args:
      configs: rows, as `rows_of` gives them.
      workdirs: folder of the runs.
      extra: arguments that they were trained with.

    Raises:
      InputError: a run is one of another number of epochs.
    """
    lines = ["| row | network | published | here |", "|---|---|---|---|"]
    for config in configs:
        path, _, name = config.partition(":")
        row, here = _rows(path)[name], _reached(config, workdirs / run_name(config), extra)
        published = {"student": row.val, "teacher": row.teacher_val}
        for network in [n for n in published if n in here or published[n] is not None or n == "student"]:
            lines.append(f"| {name} | {network} | {_text(published[network])} | {_text(here.get(network))} |")
    return "\n".join(lines)


def _rows(config: str) -> Mapping[str, Any]:
    """ROWS of a config file."""
    spec = importlib.util.spec_from_file_location("rows", find_config(config, "the config"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows = getattr(module, "ROWS", None)
    if not rows:
        raise InputError(
            f"{config} is no table of published results: give configs/paper.py, or one with ROWS as there."
        )
    return rows  # type: ignore[no-any-return]


def _reached(config: str, workdir: Path, extra: Sequence[str]) -> dict[str, float | None]:
    """AP on val of each network of a row's run [percent]; empty where the run is not done and evaluated."""
    file = workdir / "metrics.json"
    done = training_state(workdir, load_options(config, extra).train.epochs) == "done"
    if not done or not file.exists():
        return {}
    overall = {name: values["overall"]["AP"] for name, values in json.loads(file.read_text()).items()}
    return {name: None if ap is None else 100 * ap for name, ap in overall.items()}


def _text(ap: float | None) -> str:
    return "" if ap is None else f"{ap:.1f}"
