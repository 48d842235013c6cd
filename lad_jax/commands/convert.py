"""Convert weights of mmdet, of the paper's authors, of torchvision or timm, and back to mmdet.

    python -m lad_jax convert paa_r50.pth --config=configs/base.py --classes=coco --workdir=runs/paa_r50
    python -m lad_jax convert runs/paa_r50 --to=mmdet --output=paa_r50.pth

Weights are read from and written to `.pth` (with torch installed), `.safetensors` and `.npz`.
"""

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import jax
import numpy as np
from absl import flags

from lad_jax.cli import define_config
from lad_jax.commands.classes import read_classes
from lad_jax.commands.flags import define_path
from lad_jax.config import from_config
from lad_jax.data import open_dataset
from lad_jax.errors import InputError
from lad_jax.models import Detector
from lad_jax.options import RunOptions
from lad_jax.paths import local_path, make_folder
from lad_jax.run import checkpoint, saving
from lad_jax.run.meta import Meta, as_json
from lad_jax.run.trained import load
from lad_jax.train.state import Variables, init_variables
from lad_jax.types import Network
from lad_jax.weights.files import load_arrays, save_arrays
from lad_jax.weights.pretrained import resolve
from lad_jax.weights.state_dicts import is_detector, load_networks, to_mmdet, with_backbone

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
        into_mmdet(Path(local_path(arguments[1], "the workdir")), FLAGS.output, FLAGS.network)
    else:
        into_workdir(arguments[1], from_config(RunOptions, FLAGS.config), FLAGS.workdir, FLAGS.classes)


def into_workdir(source: str | Path, options: RunOptions, workdir: Path, classes: str = "") -> None:
    """Save weights of another program as a checkpoint in `workdir`.

    A detector must be the config's; networks in the source that the method does not train are saved too. With a bare
    backbone (no name begins with `backbone.`) the student gets its weights, and all else is random.

    Args:
      source: a file of a state dict, or its name on the Hugging Face hub (see `resolve`).
      options: options of the run that could have trained these weights.
      workdir: folder that must hold no checkpoint.
      classes: see `read_classes`; empty: the classes of the config's validation data.

    Raises:
      InputError: the source cannot be read or does not fit, or the workdir is taken.
    """
    class_names, category_ids = read_classes(classes) if classes else _classes_of_data(options)
    arrays = load_arrays(resolve(str(source), "the path").path)
    models = {name: Detector(options.model_of(name), len(class_names)) for name in options.roles.networks}
    if is_detector(arrays):
        templates = {name: jax.eval_shape(partial(init_variables, model, 0)) for name, model in models.items()}
        variables = load_networks(arrays, templates, options.roles.trained, str(source), options.key_of)
    else:
        variables = _with_bare_backbone(arrays, models, options, source)
    meta = Meta(as_json(options), class_names, category_ids, data="", teacher={})
    make_folder(workdir, "workdir")
    folder = saving.save_weights(workdir, variables, meta)
    _log.info("saved %s of %s, %d classes, in %s", " and ".join(variables), source, len(class_names), folder)


def into_mmdet(workdir: Path, output: Path, network: Network | None = None) -> None:
    """Write a network of the run in `workdir` (its best checkpoint) as a state dict that mmdet's programs load.

    Args:
      workdir: a run's workdir, or a checkpoint's folder.
      output: a new file; its suffix gives the format.
      network: name of the network; default: `evaluation.network` of the run.

    Raises:
      InputError: no such checkpoint or network, one that mmdet has no names for, or a file that exists.
    """
    folder = checkpoint.find(workdir)
    trained = load(folder, network)
    save_arrays(output, to_mmdet(trained.variables), trained.class_names)
    _log.info("saved the %s of %s in %s", network or trained.options.evaluation.network, folder, output)


def _classes_of_data(options: RunOptions) -> tuple[tuple[str, ...], tuple[int, ...]]:
    try:
        dataset = open_dataset(options.data, "val")
    except InputError as error:
        raise InputError(f"{error} Or, without data, give the classes by --classes.") from None
    return dataset.class_names, dataset.category_ids


def _with_bare_backbone(
    arrays: Mapping[str, np.ndarray], models: Mapping[Network, Detector], options: RunOptions, source: str | Path
) -> dict[Network, Variables]:
    """Variables of the networks as a run with this backbone would start them."""
    variables = {
        name: init_variables(models[name], options.seed + number) for number, name in enumerate(options.roles.trained)
    }
    taken_for = f"{source} (a bare backbone, since no name begins with `backbone.`)"
    variables["student"] = with_backbone(variables["student"], arrays, taken_for)
    _log.warning("%s is a bare backbone: the pyramid and the head of the student are untrained", source)
    return jax.tree.map(np.asarray, variables)
