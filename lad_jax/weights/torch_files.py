"""State dicts in torch's files. Reading one never runs code that lies in it."""

import importlib.util
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lad_jax.errors import InputError, first_few

_WRAPPERS = ("state_dict", "model")
"""Keys under which training programs save a state dict beside other things."""


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a state dict, which may lie under one of `_WRAPPERS`; floats as float32.

    Raises:
      InputError: torch is not installed, the file is damaged, holds objects that only its code could make, or no
        state dict.
    """
    torch = _torch()
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise InputError(_why(path, str(error))) from None
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds no state dict (tensors by name), but a {type(content).__name__}.")
    strange = [k for k, value in content.items() if not (isinstance(k, str) and isinstance(value, torch.Tensor))]
    if strange:
        raise InputError(f"{path} holds no state dict (tensors by name): these entries are none: {first_few(strange)}.")
    return {  # through torch's float32: numpy has no bfloat16
        name: (value.float() if value.is_floating_point() else value).detach().numpy()
        for name, value in content.items()
    }


def write_torch(file: BinaryIO, arrays: Mapping[str, np.ndarray], class_names: tuple[str, ...]) -> None:
    """Write a state dict as mmdet's programs load it.

    Raises:
      InputError: torch is not installed.
    """
    torch = _torch()
    tensors = OrderedDict((name, torch.from_numpy(array)) for name, array in arrays.items())
    torch.save({"state_dict": tensors, "meta": {"CLASSES": class_names}}, file)


def check_torch() -> None:
    """Check that torch, which only these files need, is installed; else raise InputError."""
    if importlib.util.find_spec("torch") is None:
        raise InputError(
            "files of torch (.pth, .pt) need torch: pip install 'lad-jax[torch]'. Files with the suffix "
            ".safetensors or .npz do not."
        )


def _torch() -> Any:
    """The module torch; an InputError where it is not installed."""
    check_torch()
    return importlib.import_module("torch")


def _why(path: Path, reason: str) -> str:
    refused = re.search(r"GLOBAL (\S+)", reason)
    if refused is None:
        return f"{path} is not a readable file of torch: {reason[:300]}"
    return (
        f"{path} holds more than weights: an object of {refused[1]}. It is not read, since making such an object runs "
        "its code. If you trust the file, take the weights out of it in the environment that made it: "
        'torch.save({"state_dict": torch.load(FILE, weights_only=False)["state_dict"]}, NEW_FILE)'
    )
