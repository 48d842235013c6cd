"""Flags that several commands have."""

from collections.abc import Callable
from pathlib import Path

from absl import flags

from lad_jax.cli import define_config
from lad_jax.paths import local_path, source_path


class _CheckedParser(flags.ArgumentParser):  # type: ignore[misc]
    """Parser of a flag whose text is checked by a function that takes it and the flag's name, for messages."""

    def __init__(self, name: str, check: Callable[[str, str], str | Path]) -> None:
        self._name, self._check = name, check

    def parse(self, argument: str) -> str | Path:
        return self._check(str(argument), f"--{self._name}")


def define_path(name: str, default: str | None, meaning: str) -> None:
    """Define a flag whose value is a `Path`."""
    parser = _CheckedParser(name, lambda text, flag: Path(local_path(text, flag)))
    flags.DEFINE(parser, name, default, meaning, serializer=flags.ArgumentSerializer())


def define_workdir() -> None:
    """Define `--workdir` of a command that works on a run."""
    define_path("workdir", None, "Folder of the run: checkpoints, logs, results. A run in it is resumed.")
    flags.mark_flag_as_required("workdir")


def define_source() -> None:
    """Define `--workdir` of a command that predicts: a text, see `source_path`."""
    meaning = "Folder of the run: checkpoints, logs, results. A run in it is resumed. predict: or zoo:NAME."
    parser = _CheckedParser("workdir", source_path)
    flags.DEFINE(parser, "workdir", None, meaning, serializer=flags.ArgumentSerializer())
    flags.mark_flag_as_required("workdir")


def define_run() -> None:
    """Define the flags of a command that works on a run by its config: `--config` and `--workdir`."""
    define_config()
    flags.mark_flag_as_required("config")
    define_workdir()


def define_predict() -> None:
    """Define the flags of a command that predicts: `--images`, `--output` and `--threshold`."""
    flags.DEFINE_multi_string(
        "images", [], "predict: a picture, a folder of pictures or a glob pattern; several may follow each other."
    )
    define_path("output", None, "predict: folder for the results; default: WORKDIR/predictions, or predictions.")
    flags.DEFINE_float(
        "threshold",
        None,
        "predict: least score of detections that are written and drawn; default: all that the options let through are "
        "written, and those of at least 0.3 drawn.",
        lower_bound=0,
        upper_bound=1,
    )
