"""Config files: the user's own by their path, and the package's by their name."""

import difflib
import importlib.util
from pathlib import Path

from lad_jax.errors import InputError
from lad_jax.paths import local_path


def find_config(argument: str, name: str) -> str:
    """Path of a config file, with the variant that follows a colon, if any.

    A file that is there comes first. Else `demo`, and `configs/demo.py` where that is no file, are the package's.

    Args:
      argument: path or name of a config, with a variant after a colon where it has some.
      name: flag or key that gives it, for messages.

    Raises:
      InputError: there is no such file, and no config of that name; or see `local_path`.
    """
    path, colon, variant = local_path(argument, name).partition(":")
    if Path(path).is_file():
        return path + colon + variant
    stem = Path(path).stem if path == f"configs/{Path(path).name}" else path
    ours = {file.stem: str(file) for file in sorted(_folder().glob("[!_]*.py"))}
    if stem in ours:
        return ours[stem] + colon + variant
    nearest = difflib.get_close_matches(stem, ours, n=1)
    hint = f"Did you mean {nearest[0]!r}?" if nearest else f"Its configs are {', '.join(ours)}."
    raise InputError(f"{name}: there is no file {path}, and no config {stem!r} in the package. {hint}")


def _folder() -> Path:
    """Folder of the package's configs."""
    spec = importlib.util.find_spec("lad_jax.configs")
    assert spec and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])
