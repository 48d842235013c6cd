"""How far the run in a workdir is, by what it has written."""

import json
from pathlib import Path
from typing import Literal

from lad_jax.errors import InputError
from lad_jax.files import read_lines

TrainingState = Literal["done", "to be resumed", "to be run"]


def training_state(workdir: Path, epochs: int) -> TrainingState:
    """State of the run of `epochs` epochs in `workdir`, by its files.

    A run ends with an evaluation after its last epoch, or before for lack of patience, and with the checkpoint of that
    step. Converted weights are a
    checkpoint without an optimizer: they are used as they are.

    Raises:
      InputError: the run there is one of another number of epochs, such as a trial.
    """
    steps = [int(folder.name) for folder in (workdir / "checkpoints").glob("*") if folder.name.isdigit()]
    if not steps:
        return "to be run"
    if not (workdir / "checkpoints" / str(max(steps)) / "optimizer").is_dir():
        return "done"
    config, metrics = workdir / "config.json", workdir / "metrics.jsonl"
    if not (config.exists() and metrics.exists()):  # the checkpoints alone were copied here
        return "to be resumed"
    try:
        there = json.loads(config.read_text())["train"]["epochs"]
    except (ValueError, KeyError, TypeError):  # damaged; a resumed run writes it again
        return "to be resumed"
    if there != epochs:
        raise InputError(
            f"{workdir} holds a run of {there} epoch(s), where one of {epochs} is asked for: move it away, or give "
            "another --workdirs."
        )
    lines, _ = read_lines(metrics)
    last = [line for line in lines if line["step"] == max(steps)]
    evaluated = any("evaluation" in line for line in last)
    over = any(line.get("epoch") == epochs or "ended" in line for line in last)
    return "done" if evaluated and over else "to be resumed"
