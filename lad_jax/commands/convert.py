"""Convert weights of mmdet, of the paper's authors, of torchvision or timm, and back to mmdet.

    python -m lad_jax convert paa_r50.pth --config=configs/base.py --classes=coco --workdir=runs/paa_r50
    python -m lad_jax convert runs/paa_r50 --to=mmdet --output=paa_r50.pth

Weights are read from and written to `.pth` (with torch installed), `.safetensors` and `.npz`.
"""

import logging
from pathlib import Path

from absl import flags

from lad_jax.cli import define_config
from lad_jax.commands.classes import read_classes
from lad_jax.commands.flags import define_path
from lad_jax.config import from_config
from lad_jax.data import open_dataset
from lad_jax.errors import InputError
from lad_jax.options import RunOptions
from lad_jax.run.converted import save_converted
from lad_jax.run.sources import local_checkpoint
from lad_jax.run.trained import load
from lad_jax.types import Network
from lad_jax.weights.files import save_arrays
from lad_jax.weights.state_dicts import to_mmdet

_log = logging.getLogger(__name__)
FLAGS = flags.FLAGS


def define_flags() -> None:
    """Define the flags of this command."""
    define_config()
    define_path("workdir", None, "Folder for the checkpoint.")
    flags.DEFINE_string(
        "classes", "", "'coco', or a file with a class name a line; default: those of the validation data."
    )
    flags.DEFINE_enum("to", None, ["mmdet"], "The other way: write a network of a workdir.")
    define_path("output", None, "--to: the file; its suffix is .pth, .safetensors or .npz.")
    flags.DEFINE_string("network", None, "--to: which network; default: evaluation.network of the run.")


def main(arguments: list[str]) -> None:
    """Run the command."""
    needed = ["output"] if FLAGS.to else ["config", "workdir"]
    missing = [f"--{name}" for name in needed if FLAGS[name].value is None]
    if missing or len(arguments) != 2:
        what = "one workdir" if FLAGS.to else "one file of weights"
        raise InputError(f"give {what} and {' and '.join(f'--{name}' for name in needed)}; see --help.")
    if FLAGS.to:
        into_mmdet(arguments[1], FLAGS.output, FLAGS.network)
    else:
        into_workdir(arguments[1], from_config(RunOptions, FLAGS.config), FLAGS.workdir, FLAGS.classes)


def into_workdir(source: str | Path, options: RunOptions, workdir: Path, classes: str = "") -> None:
    """Save weights of another program as a checkpoint in `workdir`.

    Args:
      source, options, workdir: see `save_converted`.
      classes: see `read_classes`; empty: the classes of the config's validation data.

    Raises:
      InputError: the source or the classes cannot be read, the source does not fit, or the workdir is taken.
    """
    class_names, category_ids = read_classes(classes) if classes else _classes_of_data(options)
    save_converted(str(source), options, workdir, class_names, category_ids)


def into_mmdet(source: str | Path, output: Path, network: Network | None = None) -> None:
    """Write a trained network as a state dict that mmdet's programs load.

    Args:
      source: a run's workdir, a checkpoint's folder or `zoo:NAME`; see `local_checkpoint`.
      output: a new file; its suffix gives the format.
      network: name of the network; default: `evaluation.network` of the run.

    Raises:
      InputError: no such checkpoint or network, one that mmdet has no names for, or a file that exists.
    """
    folder = local_checkpoint(source, "the workdir")
    trained = load(folder, network)
    save_arrays(output, to_mmdet(trained.variables), trained.class_names)
    _log.info("saved the %s of %s in %s", network or trained.options.evaluation.network, folder, output)


def _classes_of_data(options: RunOptions) -> tuple[tuple[str, ...], tuple[int, ...]]:
    try:
        dataset = open_dataset(options.data, "val")
    except InputError as error:
        raise InputError(f"{error} Or, without data, give the classes by --classes.") from None
    return dataset.class_names, dataset.category_ids
