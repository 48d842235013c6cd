"""Flags that several commands have."""

from absl import flags
from ml_collections import config_flags


def define_config() -> None:
    """Define `--config`; any option is set by `--config.KEY=VALUE`."""
    config_flags.DEFINE_config_file("config", None, "Config file, with a variant after a colon where it has some.")


def define_run() -> None:
    """Define the flags of a command that works on a run: `--config` and `--workdir`."""
    define_config()
    flags.DEFINE_string("workdir", None, "Folder of the run: checkpoints, logs, results. A run in it is resumed.")
    flags.mark_flags_as_required(["config", "workdir"])


def define_predict() -> None:
    """Define the flags of a command that predicts: `--images` and `--output`."""
    flags.DEFINE_string("images", "", "predict: a picture, a folder of pictures or a glob pattern.")
    flags.DEFINE_string("output", "", "predict: folder for the results; default: WORKDIR/predictions.")
