"""Pretrained weights of other libraries as variables of ours."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from lad_jax.errors import InputError

_LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


def load_arrays(path: str) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by name.

    Raises:
      InputError: no such file, or not an `.npz`.
    """
    if not Path(path).is_file():
        raise InputError(f"pretrained weights not found: {path}. Set config.model.backbone.pretrained to the file.")
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{path} is not a readable .npz file: {error}") from None


def load_torchvision_resnet(arrays: Mapping[str, np.ndarray], variables: Mapping[str, Any], source: str) -> Any:
    """Backbone variables filled from a state dict with torchvision's ResNet names (spec 1.7).

    Args:
      arrays: name to array; convolutions as OIHW. A classifier (`fc.`) and `num_batches_tracked` are ignored.
      variables: `params` and `batch_stats` of our backbone; they give names, shapes and dtypes.
      source: name of the file, for messages.

    Raises:
      InputError: lists every name that is missing, unexpected or of another shape.
    """
    given = {k: v for k, v in arrays.items() if not k.startswith("fc.") and not k.endswith("num_batches_tracked")}
    wanted = flatten_dict(dict(variables))
    names = {path: _torch_name(path[1:]) for path in wanted}
    problems = [f"missing: {name}" for name in names.values() if name not in given]
    problems += [f"unexpected: {name}" for name in given if name not in names.values()]
    result = {}
    for path, template in wanted.items():
        if names[path] not in given:
            continue
        array = given[names[path]]
        if array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)  # OIHW to HWIO
        if array.shape != template.shape:
            problems.append(f"shape of {names[path]}: {array.shape}, expected {template.shape}")
        result[path] = array.astype(template.dtype)
    if problems:
        raise InputError(f"{source} does not fit the backbone of the config:\n  " + "\n  ".join(problems))
    return unflatten_dict(result)


def _torch_name(path: tuple[str, ...]) -> str:
    """`('layer1_0', 'conv1', 'kernel')` as `layer1.0.conv1.weight`."""
    modules = [re.sub(r"_(\d+)$", r".\1", module) for module in path[:-1]]
    return ".".join([*modules, _LEAVES[path[-1]]])
