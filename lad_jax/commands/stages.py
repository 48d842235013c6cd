"""One command of a recipe, and how far it is, by what it has written."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lad_jax.errors import InputError
from lad_jax.run import checkpoint

State = Literal["done", "to be resumed", "to be run", "needs data.test.annotations"]


@dataclass(frozen=True)
class Stage:
    """A command, and how far it is."""

    arguments: tuple[str, ...]
    """Arguments of Python."""
    state: State
    note: Path | None
    """File that `run` writes once the command is done, see `evaluated_by`; None where the run's files show it."""
    workdir: Path | None = None
    """Folder of a training; None for an evaluation, which other runs do not hinder."""
    epochs: int = 0
    """Number of epochs of a training."""

    @property
    def command(self) -> str:
        return shlex.join(("python", *self.arguments))


def training_state(workdir: Path, epochs: int) -> State:
    """State of the run of `epochs` epochs in `workdir`, by its files.

    A run ends with an evaluation after its last epoch, and with the checkpoint of that step. Converted weights are a
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
    except json.JSONDecodeError:  # a kill has cut it off; a resumed run writes it again
        return "to be resumed"
    if there != epochs:
        raise InputError(
            f"{workdir} holds a run of {there} epoch(s), where one of {epochs} is asked for: move it away, or give "
            "another --workdirs."
        )
    last = [line for line in _lines(metrics) if line["step"] == max(steps)]
    evaluated = any("evaluation" in line for line in last)
    return "done" if evaluated and any(line.get("epoch") == epochs for line in last) else "to be resumed"


def evaluation_stage(arguments: tuple[str, ...], note: Path, trained: bool) -> Stage:
    """The evaluation of a run: done if the run is, and this very command was run with this very checkpoint."""
    stage = Stage(arguments, "to be run", note)
    done = trained and note.exists() and note.read_text() == evaluated_by(stage.command, note.parent)
    return Stage(arguments, "done", note) if done else stage


def evaluated_by(command: str, workdir: Path) -> str:
    """Identity of an evaluation: its command, and step and time [s] of the checkpoint that it takes."""
    folder = checkpoint.find(workdir)
    return f"{command}\ncheckpoint {folder.name} of {int(folder.stat().st_mtime)}\n"


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    """Objects of a file of JSON lines, up to a line that a kill has cut off."""
    for line in file.read_text().splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return
