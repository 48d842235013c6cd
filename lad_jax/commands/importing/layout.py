"""Layouts of folders: the pictures and annotations of each split.

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
from lad_jax.data.folders import list_files
from lad_jax.data.pictures import SUFFIXES
from lad_jax.errors import InputError, first_few

_SPLITS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
"""Folder names of each split."""


class SplitFolders(NamedTuple):
    """The folders of one split."""

    pictures: Path
    annotations: Path


def find_splits(folder: Path, pictures: Sequence[str], annotations: Sequence[str]) -> dict[str, SplitFolders]:
    """Folders of each split of a data set; one without splits has a single one, named "".

    Args:
      folder: folder of the whole data set.
      pictures: names that a folder of pictures may have.
      annotations: names that a folder of annotations may have.

    Raises:
      InputError: there are folders of splits, and pictures beside them that would be in none.
    """

    def split_in(folder: Path) -> SplitFolders:
        return SplitFolders(_child(folder, pictures), _child(folder, annotations))

    whole, splits = split_in(folder), {}
    for split, names in _SPLITS.items():
        for name in names:
            if (folder / name).is_dir():
                splits[split] = split_in(folder / name)
            elif (whole.pictures / name).is_dir():
                splits[split] = SplitFolders(whole.pictures / name, whole.annotations / name)
    if splits and (loose := list_files(whole.pictures, SUFFIXES)):
        raise InputError(
            f"{whole.pictures} has folders for splits ({', '.join(splits)}) and {len(loose)} pictures beside them, "
            f"which would be in none: {first_few([file.name for file in loose])}. Sort them in, or move them away."
        )
    return splits or {"": whole}


def _child(folder: Path, names: Sequence[str]) -> Path:
    """The first folder of these names, else the folder itself."""
    return next((folder / name for name in names if (folder / name).is_dir()), folder)


def choose_splits(found: dict[str, list[Path]], options: ImportOptions) -> dict[str, list[Path]]:
    """The splits that the options ask for.

    Args:
      found: one file of each picture, by split; "" is the split of a folder without splits.
      options: the splits that are asked for, or the share to draw.

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
        raise InputError(
            f"{options.folder} has no split {first_few(absent)}, but {', '.join(found)}: correct --splits."
        )
    return {split: found[split] for split in options.splits or found}


def _draw(files: list[Path], options: ImportOptions) -> dict[str, list[Path]]:
    """Draw two splits by a hash of the file names: the same at any time and place."""
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
