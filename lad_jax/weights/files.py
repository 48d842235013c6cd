"""Files of named arrays, by suffix: `.npz`, `.safetensors`, and torch's `.pth` and `.pt`."""

import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from lad_jax.errors import InputError, first_few
from lad_jax.files import replacing
from lad_jax.paths import make_folder
from lad_jax.weights.torch_files import check_torch, read_torch, write_torch

Arrays = dict[str, np.ndarray]


def load_arrays(path: str | Path) -> Arrays:
    """The arrays of a file by name: floats as float32, names without the `module.` of a distributed run.

    Args:
      path: the file, which exists; its suffix gives the format.

    Raises:
      InputError: the file is of another kind, damaged, or has something else than numbers in it.
    """
    arrays = _format_of(path).read(Path(path))
    _refuse(path, [name for name, array in arrays.items() if not jnp.issubdtype(array.dtype, np.number)])
    if twice := [name for name in arrays if f"module.{name}" in arrays]:
        raise InputError(f"{path} has these entries also with `module.` before them: {first_few(twice)}.")
    return {
        name.removeprefix("module."): array.astype(np.float32) if jnp.issubdtype(array.dtype, np.floating) else array
        for name, array in arrays.items()
    }


def _refuse(path: str | Path, strange: list[str]) -> None:
    """Raise InputError if a file has entries that are no numbers."""
    if strange:
        raise InputError(f"{path} is no file of weights: these entries are no numbers: {first_few(strange)}.")


def save_arrays(path: str | Path, arrays: Mapping[str, np.ndarray], class_names: tuple[str, ...]) -> None:
    """Write arrays by name into a new file, whose suffix gives the format; it is there once it is whole.

    `.pth` and `.pt` become mmdet's `{"state_dict": ..., "meta": {"CLASSES": class_names}}`.

    Raises:
      InputError: unknown suffix, the file exists, or its folder cannot be made.
    """
    write = _format_of(path).write
    if Path(path).exists():
        raise InputError(f"{path} exists: nothing is overwritten. Take another name, or move the file away.")
    make_folder(Path(path).parent, "the folder of the weights,")
    with replacing(Path(path)) as file:
        write(file, arrays, class_names)


def is_file_of_weights(path: str | Path) -> bool:
    """Whether a path is a file; where there is nothing, whether its suffix is one of a format that can be read."""
    return Path(path).is_file() or (Path(path).suffix in _FORMATS and not Path(path).is_dir())


def check_readable(path: str | Path) -> None:
    """Check that files of this suffix can be read, torch's only where torch is installed; else raise InputError."""
    if _format_of(path).read is read_torch:
        check_torch()


def _read_npz(path: Path) -> Arrays:
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is no zip archive, or cut off")
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} is not a readable .npz file: {error}") from None
    _refuse(path, [name for name, array in arrays.items() if not isinstance(array, np.ndarray)])  # but bytes
    return arrays


def _write_npz(file: BinaryIO, arrays: Mapping[str, np.ndarray], _: tuple[str, ...]) -> None:
    np.savez(file, **dict[str, Any](arrays))  # Any: a type checker takes the names for options of savez


_OF_UNKNOWN_TYPES = (AttributeError, KeyError, TypeError)
"""What safetensors raises of types that numpy lacks."""


def _read_safetensors(path: Path) -> Arrays:
    try:
        return safetensors.numpy.load_file(path)
    except (SafetensorError, OSError, *_OF_UNKNOWN_TYPES) as error:
        raise InputError(f"{path} is not a readable .safetensors file: {error}") from None


def _write_safetensors(file: BinaryIO, arrays: Mapping[str, np.ndarray], _: tuple[str, ...]) -> None:
    file.write(safetensors.numpy.save(dict(arrays), metadata={"format": "pt"}))


class _Format(NamedTuple):
    read: Callable[[Path], Arrays]
    write: Callable[[BinaryIO, Mapping[str, np.ndarray], tuple[str, ...]], None]


_FORMATS = {
    ".npz": _Format(_read_npz, _write_npz),
    ".safetensors": _Format(_read_safetensors, _write_safetensors),
    ".pth": _Format(read_torch, write_torch),
    ".pt": _Format(read_torch, write_torch),
}


def _format_of(path: str | Path) -> _Format:
    suffix = Path(path).suffix
    if suffix not in _FORMATS:
        raise InputError(f"{path} has the suffix {suffix!r}; known: {', '.join(_FORMATS)}.")
    return _FORMATS[suffix]
