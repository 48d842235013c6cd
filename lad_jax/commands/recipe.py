"""The commands that train and evaluate a config, from its first teacher on; and run them, one after the other.

    python -m lad_jax recipe configs/paper.py:solad_r50_r101_1x
    python -m lad_jax recipe configs/paper.py:solad_r50_r101_1x --run
    python -m lad_jax recipe configs/paper.py:solad_r50_r101_1x --run -- --config.data.workers=16
    python -m lad_jax recipe configs/paper.py --table=2 --run
    python -m lad_jax recipe configs/paper.py --table=2 --collect

The run of `configs/NAME.py` lies in `runs/NAME`, that of `configs/NAME.py:VARIANT` in
`runs/NAME_VARIANT`; what is done there is not repeated, and what only a finished training needed is not run. A workdir
where another run is at work, such as that of a teacher which another recipe trains, is waited for, and gone on with if
that run ends early. Options after `--` are added to every command as they are, so they hold for the teachers too; only
`--config.teacher.path`, for a teacher that was trained elsewhere, is for the config alone.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from absl import flags

from lad_jax.commands.flags import define_path
from lad_jax.commands.rows import collect, rows_of
from lad_jax.commands.stages import Stage, State, evaluated_by, evaluation_stage
from lad_jax.errors import InputError
from lad_jax.files import write_whole
from lad_jax.options import RunOptions, run_name
from lad_jax.run import lock
from lad_jax.run.configs import load_options
from lad_jax.run.sources import check_source
from lad_jax.run.states import training_state

FLAGS = flags.FLAGS

TEACHER_PATH = "--config.teacher.path"
_TRAIN, _EVAL = ("-m", "lad_jax", "train"), ("-m", "lad_jax", "eval")
"""Arguments of Python."""

POLL_S = 10.0
"""Time between two checks whether another run has ended [seconds]."""


def define_flags() -> None:
    """Define the flags of this command."""
    define_path("workdirs", "runs", "Folder of the runs.")
    flags.DEFINE_bool("run", False, "Run what is not done yet; otherwise the commands are only printed.")
    flags.DEFINE_string("table", "", "All rows of a published table: `configs/paper.py --table=2`.")
    flags.DEFINE_bool("collect", False, "Print what the runs of rows have reached, beside what was published.")


@dataclass(frozen=True)
class _Training:
    """The training of one config of a chain."""

    options: RunOptions
    workdir: Path
    flags: tuple[str, ...]
    """Flags of its commands, without those that all commands share."""
    state: State


def make_stages(config: str, workdirs: Path, extra: Sequence[str] = ()) -> list[Stage]:
    """The training of a config, after those of its teachers that it still needs, and its evaluation.

    Args:
      config: path of a config file, with a variant after a colon where it has some.
      workdirs: folder of the runs.
      extra: further arguments of each command; `--config.teacher.path` is only for the commands of the config itself.

    Raises:
      InputError: a config that is missing or does not build, or that is a teacher of its own teacher; a teacher's path
        without a checkpoint; a run of another number of epochs.
    """
    common = _without_teacher_path(extra)
    chain = _chain(config, workdirs, extra)
    trainings = [
        Stage(
            (*_TRAIN, *training.flags, *common), training.state, None, training.workdir, training.options.train.epochs
        )
        for training in chain
    ]
    return [*trainings, *_evaluations(chain[-1], common)]


def show(stages: Sequence[Stage]) -> None:
    """Print the commands of stages, as a shell takes them."""
    for stage in stages:
        print(f"{stage.command}  # {stage.state}", flush=True)


def run(stages: Sequence[Stage]) -> None:
    """Run the stages that are not done, in their order.

    Raises:
      InputError: a command failed.
    """
    for stage in stages:
        while (stage := _when_free(stage)).state in ("to be run", "to be resumed"):
            print(f"\n$ {stage.command}", flush=True)
            status = _call(stage.arguments)
            if status == 0:
                if stage.note:
                    write_whole(stage.note, evaluated_by(stage.command, stage.note.parent))
                break
            if not _other_run(stage):  # one that started at the same moment may have been faster
                raise InputError(
                    f"exit status {status} of\n  {stage.command}\nIts own message stands above. Once that is put "
                    "right, call this program again: it goes on from here."
                )


def _call(arguments: Sequence[str]) -> int:
    """Exit status of Python with these arguments; where this program is ended, the command ends first, saved."""
    with subprocess.Popen([sys.executable, *arguments]) as process:
        try:
            return process.wait()
        finally:
            process.terminate()  # does nothing where it has ended
            process.wait()


def _when_free(stage: Stage) -> Stage:
    """Wait until no other run is at work in a stage's workdir; the stage with the state that it is then in."""
    if not stage.workdir:
        return stage
    if holder := _other_run(stage):
        print(f"waiting for another run to end in {stage.workdir}: {holder}", flush=True)
        while _other_run(stage):
            time.sleep(POLL_S)
    return replace(stage, state=training_state(stage.workdir, stage.epochs))


def _other_run(stage: Stage) -> lock.Holder | None:
    return lock.living_holder(stage.workdir) if stage.workdir else None


def main(arguments: list[str]) -> None:
    """Run the command."""
    if len(arguments) < 2:
        raise InputError("give a config, such as configs/paper.py:solad_r50_r101_1x; see --help.")
    _, config, *extra = arguments
    path, _, variant = config.partition(":")
    if FLAGS.table and variant:
        raise InputError(f"--table is of a whole file: give {path} without :{variant}.")
    if FLAGS.collect and FLAGS.run:
        raise InputError("--collect prints what is done, and --run trains: give one of them.")
    configs = [config] if variant or not (FLAGS.collect or FLAGS.table) else rows_of(path, FLAGS.table)
    if FLAGS.collect:
        return print(collect(configs, FLAGS.workdirs, extra))
    stages = [stage for one in configs for stage in make_stages(one, FLAGS.workdirs, extra)]
    stages = list({stage.command: stage for stage in stages}.values())  # rows share their teachers
    show(stages)
    if FLAGS.run:
        run(stages)


def _chain(config: str, workdirs: Path, extra: Sequence[str], students: tuple[str, ...] = ()) -> list[_Training]:
    """The training of a config after those of the teachers that it still needs, the first one first."""
    if config in students:
        raise InputError(
            f"{' <- '.join((*students, config))}: each has the next as its teacher, so none can be trained first. Set "
            "teacher.path of one of them to a run that is there, and its teacher.config to ''."
        )
    options = load_options(config, extra, named_by=f"teacher.config of {students[-1]}" if students else "")
    teacher, roles = options.teacher, options.roles
    common = _without_teacher_path(extra)
    given = len(common) < len(extra)
    name = run_name(teacher.config)
    home = workdirs / name  # where this program trains the teacher; any other path is of one from elsewhere
    usual = [home] if given else [Path(), Path("runs", name)]
    ours = "teacher" in roles.networks and bool(teacher.config) and Path(teacher.path) in usual
    path = str(home) if ours else teacher.path
    moved = [f"{TEACHER_PATH}={path}"] if given or Path(path) != Path(teacher.path) else []

    workdir = workdirs / run_name(config)
    state = training_state(workdir, options.train.epochs)
    training = _Training(options, workdir, (f"--config={config}", f"--workdir={workdir}", *moved), state)
    # A resumed run has its trained networks, in CoLAD the teacher too, from its checkpoint.
    needed = state == "to be run" or (state == "to be resumed" and "teacher" in roles.frozen)
    if needed and ours:
        return [*_chain(teacher.config, workdirs, common, (*students, config)), training]
    if needed and path:
        _check_teacher(config, path)
    return [training]


def _check_teacher(config: str, path: str) -> None:
    try:
        check_source(path, "config.teacher.path")
    except InputError as error:
        raise InputError(f"{error} It is config.teacher.path of {config}.") from None


def _without_teacher_path(arguments: Sequence[str]) -> tuple[str, ...]:
    """`arguments` without `--config.teacher.path=PATH`, or the same in two words."""
    rest = iter(arguments)
    kept = []
    for argument in rest:
        if argument == TEACHER_PATH:
            next(rest, None)
        elif not argument.startswith(f"{TEACHER_PATH}="):
            kept.append(argument)
    return tuple(kept)


def _evaluations(training: _Training, extra: tuple[str, ...]) -> Iterator[Stage]:
    """Evaluations of a training: on val, and on test-dev where the config has that."""
    options, workdir = training.options, training.workdir
    flags, trained = (*_EVAL, *training.flags), training.state == "done"
    yield evaluation_stage((*flags, *extra), workdir / "evaluated.txt", trained)
    annotations = options.data.test.annotations
    if options.data.source == "coco" and annotations and options.evaluation.split == "val":
        arguments = (*flags, "--config.evaluation.split=test-dev", *extra)
        if Path(annotations).exists():
            yield evaluation_stage(arguments, workdir / "evaluated_test-dev.txt", trained)
        else:
            yield Stage(arguments, "needs data.test.annotations", note=None)
