"""Where in a folder the pictures and annotations of each split are.

A folder is a data set of one split, or has splits, in either of two ways:

    images/a.jpg   labels/a.txt             images/train/a.jpg   labels/train/a.txt      images/val/…
    a.jpg          a.txt                    train/images/a.jpg   train/labels/a.txt      val/images/…

Each folder of the second line may also hold pictures and annotations side by side.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lad_jax.commands.importing.options import ImportOptions
from lad_jax.data.pictures import SUFFIXES
from lad_jax.errors import InputError, some

_SPLITS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
"""Folder names of each split."""


class Part(NamedTuple):
    """The folders of one split."""

    pictures: Path
    annotations: Path


def find_parts(folder: Path, pictures: Sequence[str], annotations: Sequence[str]) -> dict[str, Part]:
    """The parts of a data set by split; the one part of a folder without splits has the name "".

    Args:
      folder: the whole data set.
      pictures: names that a folder of pictures may have.
      annotations: names that a folder of annotations may have.

    Raises:
      InputError: there are folders of splits, and pictures beside them that would be in none.
    """

    def part_of(folder: Path) -> Part:
        return Part(_child(folder, pictures), _child(folder, annotations))

    whole, parts = part_of(folder), {}
    for split, names in _SPLITS.items():
        for name in names:
            if (folder / name).is_dir():
                parts[split] = part_of(folder / name)
            elif (whole.pictures / name).is_dir():
                parts[split] = Part(whole.pictures / name, whole.annotations / name)
    if parts and (loose := list_files(whole.pictures, SUFFIXES)):
        raise InputError(
            f"{whole.pictures} has folders for splits ({', '.join(parts)}) and {len(loose)} pictures beside them, "
            f"which would be in none: {some([file.name for file in loose])}. Sort them in, or move them away."
        )
    return parts or {"": whole}


def _child(folder: Path, names: Sequence[str]) -> Path:
    """The first folder of these names, else the folder itself."""
    return next((folder / name for name in names if (folder / name).is_dir()), folder)


def list_files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files with one of these suffixes, sorted; hidden ones are left out."""
    if not folder.is_dir():
        return []
    return sorted(f for f in folder.iterdir() if f.suffix.lower() in suffixes and not f.name.startswith("."))


def choose_splits(found: dict[str, list[Path]], options: ImportOptions) -> dict[str, list[Path]]:
    """The splits that the options ask for.

    Args:
      found: one file of each picture, by split; "" is that of a folder without splits.

    Raises:
      InputError: a split that is not there, or a share to draw from a folder with splits, or none from one without.
    """
    if "" in found:
        return _draw(found[""], options)
    if options.val_share:
        raise InputError(
            f"{options.folder} has splits of its own ({', '.join(found)}): leave out --val_share, or import one of "
            f"them alone."
        )
    absent = [split for split in options.splits if split not in found]
    if absent:
        raise InputError(f"{options.folder} has no split {some(absent)}, but {', '.join(found)}: correct --splits.")
    return {split: found[split] for split in options.splits or found}


def _draw(files: list[Path], options: ImportOptions) -> dict[str, list[Path]]:
    """Two splits, drawn by a hash of the file names: the same at any time and place."""
    if options.splits or not options.val_share:
        raise InputError(
            f"{options.folder} has no splits: give --val_share=0.2 to validate on a fifth of its pictures, or sort "
            f"them into folders train and val."
        )
    count = round(options.val_share * len(files))
    if not 0 < count < len(files):
        raise InputError(f"--val_share={options.val_share} of {len(files)} pictures leaves a split without pictures.")
    val = set(sorted(files, key=lambda file: hashlib.sha256(file.stem.encode()).digest())[:count])
    return {"train": [file for file in files if file not in val], "val": sorted(val)}
