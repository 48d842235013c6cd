"""The commands that train and evaluate a config, from its first teacher on; and run them, one after the other.

    python -m lad_jax.recipe configs/solad_r50_r101_1x.py
    python -m lad_jax.recipe configs/solad_r50_r101_1x.py --run
    python -m lad_jax.recipe configs/solad_r50_r101_1x.py --run -- --config.data.workers=16

Call it in the repository's root. The run of `configs/NAME.py` lies in `runs/NAME`, that of `configs/NAME.py:VARIANT` in
`runs/NAME_VARIANT`; what is done there is not repeated. Options after `--` are added to every command as they are, so
they hold for the teachers too.
"""

import importlib.util
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from absl import flags

from lad_jax import cli
from lad_jax.config import from_config
from lad_jax.errors import InputError
from lad_jax.options import RunOptions

FLAGS = flags.FLAGS
flags.DEFINE_string("workdirs", "runs", "Folder of the runs.")
flags.DEFINE_bool("run", False, "Run what is not done yet; otherwise the commands are only printed.")

State = Literal["done", "to be resumed", "to be run"]


@dataclass(frozen=True)
class Stage:
    """One command, and how far it is."""

    arguments: tuple[str, ...]
    """Of Python."""
    state: State
    note: Path | None
    """A file that `run` writes the command into once it is done; None where the run itself tells."""

    @property
    def command(self) -> str:
        return shlex.join(("python", *self.arguments))


def make_stages(config: str, workdirs: Path, extra: Sequence[str] = ()) -> list[Stage]:
    """The training of a config after those of its teachers, and its evaluation.

    Args:
      config: path of a config file, with a variant after a colon where it has some.
      workdirs: folder of the runs.
      extra: further arguments of each command.

    Raises:
      InputError: a config that is missing or does not build, or that is a teacher of its own teacher.
    """
    stages = []
    teacher: Path | None = None
    for name, options in _chain(config):
        workdir = workdirs / workdir_name(name)
        program = ("main.py", f"--config={name}", f"--workdir={workdir}")
        moved = () if teacher in (None, Path(options.teacher.path)) else (f"--config.teacher.path={teacher}",)
        stages.append(Stage((*program, *moved, *extra), training_state(workdir), note=None))
        teacher = workdir
    trained = stages[-1].state == "done"
    return [*stages, _evaluation((*program, "--mode=eval", *extra), workdir / "evaluated.txt", trained)]


def workdir_name(config: str) -> str:
    """`configs/NAME.py` to NAME, `configs/NAME.py:VARIANT` to NAME_VARIANT."""
    path, _, variant = config.partition(":")
    return "_".join([Path(path).stem, *filter(None, [variant])])


def training_state(workdir: Path) -> State:
    """How far the run in `workdir` is, by what it has written.

    A run ends with an evaluation after its last epoch, and with the checkpoint of that step. Converted weights are a
    checkpoint without an optimizer: they are to be used as they are.
    """
    steps = [int(folder.name) for folder in (workdir / "checkpoints").glob("*") if folder.name.isdigit()]
    if not steps:
        return "to be run"
    if not (workdir / "checkpoints" / str(max(steps)) / "optimizer").is_dir():
        return "done"
    config, metrics = workdir / "config.json", workdir / "metrics.jsonl"
    if not (config.exists() and metrics.exists()):  # the checkpoints alone were copied here
        return "to be resumed"
    epochs = json.loads(config.read_text())["train"]["epochs"]
    last = [line for line in _lines(metrics) if line["step"] == max(steps)]
    evaluated = any("evaluation" in line for line in last)
    return "done" if evaluated and any(line.get("epoch") == epochs for line in last) else "to be resumed"


def show(stages: Sequence[Stage]) -> None:
    """Print the commands, as a shell takes them."""
    for stage in stages:
        print(f"{stage.command}  # {stage.state}", flush=True)


def run(stages: Sequence[Stage]) -> None:
    """Run what is not done, in this order.

    Raises:
      InputError: a command failed.
    """
    for stage in stages:
        if stage.state == "done":
            continue
        print(f"\n$ {stage.command}", flush=True)
        status = subprocess.run([sys.executable, *stage.arguments]).returncode
        if status:
            raise InputError(
                f"exit status {status} of\n  {stage.command}\nIts own message stands above. Once that is put right, "
                "call this program again: it goes on from here."
            )
        if stage.note:
            stage.note.write_text(stage.command + "\n")


def main(arguments: list[str]) -> None:
    if len(arguments) < 2:
        raise InputError("give a config, such as configs/solad_r50_r101_1x.py; see --help.")
    _, config, *extra = arguments
    stages = make_stages(config, Path(FLAGS.workdirs), extra)
    show(stages)
    if FLAGS.run:
        run(stages)


def _chain(config: str, pupils: tuple[str, ...] = ()) -> list[tuple[str, RunOptions]]:
    """A config after the configs of its teachers, the first teacher first."""
    if config in pupils:
        raise InputError(
            f"{' <- '.join((*pupils, config))}: each is taught by the next, so none can be trained first. Set "
            "teacher.path of one of them to a run that is there, and its teacher.config to ''."
        )
    options = _load(config)
    teacher = options.teacher.config if "teacher" in options.policy.networks else ""
    return [*(_chain(teacher, (*pupils, config)) if teacher else []), (config, options)]


def _load(config: str) -> RunOptions:
    """The options that a config file gives, as `main.py --config` reads it."""
    path, _, variant = config.partition(":")
    if not Path(path).is_file():
        raise InputError(f"there is no config {path}: give the path of a config file, from the repository's root.")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        return from_config(RunOptions, module.get_config(*filter(None, [variant])))
    except ValueError as error:
        raise InputError(f"{config}: {error}") from None


def _evaluation(arguments: tuple[str, ...], note: Path, trained: bool) -> Stage:
    """The evaluation of a run: done if the run is, and this very command was run since."""
    stage = Stage(arguments, "to be run", note)
    done = trained and note.exists() and note.read_text() == stage.command + "\n"
    return Stage(arguments, "done", note) if done else stage


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    """The JSON lines of a file, up to one that a kill has cut off."""
    for line in file.read_text().splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return


if __name__ == "__main__":
    cli.start(main)
