"""One command of a recipe, and how far it is, by what it has written."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lad_jax.run import checkpoint
from lad_jax.run.states import TrainingState

State = TrainingState | Literal["needs data.test.annotations"]


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


def evaluation_stage(arguments: tuple[str, ...], note: Path, trained: bool) -> Stage:
    """The evaluation of a run: done if the run is, and this very command was run with this very checkpoint."""
    stage = Stage(arguments, "to be run", note)
    done = trained and _text(note) == evaluated_by(stage.command, note.parent)
    return Stage(arguments, "done", note) if done else stage


def _text(note: Path) -> str:
    """Text of a note, in which paths may have bytes that are not UTF-8; empty: there is none."""
    return note.read_text(encoding="utf-8", errors="surrogateescape") if note.exists() else ""


def evaluated_by(command: str, workdir: Path) -> str:
    """Identity of an evaluation: its command, and step and time [s] of the checkpoint that it takes."""
    folder = checkpoint.find(workdir)
    return f"{command}\ncheckpoint {folder.name} of {int(folder.stat().st_mtime)}\n"
