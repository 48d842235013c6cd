"""Checkpoints made of the weights of other programs."""

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import jax
import numpy as np

from lad_jax.models import Detector
from lad_jax.options import RunOptions
from lad_jax.paths import make_folder
from lad_jax.run import saving
from lad_jax.run.build import make_models
from lad_jax.run.meta import Meta, as_json
from lad_jax.train.state import Variables, init_variables
from lad_jax.types import Network
from lad_jax.weights.files import load_arrays
from lad_jax.weights.pretrained import resolve
from lad_jax.weights.state_dicts import is_detector, load_networks, with_backbone

_log = logging.getLogger(__name__)


def save_converted(
    source: str, options: RunOptions, workdir: Path, class_names: tuple[str, ...], category_ids: tuple[int, ...]
) -> Path:
    """Save weights of another program as a checkpoint in `workdir`; returns its folder.

    A detector must be the config's; networks in the source that the method does not train are saved too. With a bare
    backbone (no name begins with `backbone.`) the student gets its weights, and all else is random.

    Args:
      source: a file of a state dict, or its name elsewhere (see `resolve`).
      options: options of the run that could have trained these weights.
      workdir: folder that must hold no checkpoint.
      class_names, category_ids: names and ids of the classes by label.

    Raises:
      InputError: the source cannot be read or does not fit, or the workdir is taken.
    """
    arrays = load_arrays(resolve(source, "the path").path)
    models = make_models(options, len(class_names))
    if is_detector(arrays):
        templates = {name: jax.eval_shape(partial(init_variables, model, 0)) for name, model in models.items()}
        variables = load_networks(arrays, templates, options.roles.trained, source, options.key_of)
    else:
        variables = _with_bare_backbone(arrays, models, options, source)
    meta = Meta(as_json(options), class_names, category_ids, data="", teacher={})
    make_folder(workdir, "workdir")
    folder = saving.save_weights(workdir, variables, meta)
    _log.info("saved %s of %s, %d classes, in %s", " and ".join(variables), source, len(class_names), folder)
    return folder


def _with_bare_backbone(
    arrays: Mapping[str, np.ndarray], models: Mapping[Network, Detector], options: RunOptions, source: str
) -> dict[Network, Variables]:
    """Variables of the networks as a run with this backbone would start them."""
    variables = {
        name: init_variables(models[name], options.seed + number) for number, name in enumerate(options.roles.trained)
    }
    taken_for = f"{source} (a bare backbone, since no name begins with `backbone.`)"
    variables["student"] = with_backbone(variables["student"], arrays, taken_for)
    _log.warning("%s is a bare backbone: the pyramid and the head of the student are untrained", source)
    return jax.tree.map(np.asarray, variables)
