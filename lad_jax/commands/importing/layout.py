"""Layouts of folders: the pictures and annotations of each split.

A folder is a data set of one split, or has splits, in either of two ways:

    images/a.jpg   labels/a.txt             images/train/a.jpg   labels/train/a.txt      images/val/…
    a.jpg          a.txt                    train/images/a.jpg   train/labels/a.txt      val/images/…

Each folder of the second line may also hold pictures and annotations side by side.
"""

import hashlib
from collections import Counter
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
      InputError: there are two folders of a split, or pictures in folders beside or below those that are read.
    """

    def split_in(folder: Path) -> SplitFolders:
        return SplitFolders(_child(folder, pictures), _child(folder, annotations))

    whole, splits = split_in(folder), {}
    for split, names in _SPLITS.items():
        found = {folder / name: split_in(folder / name) for name in names if (folder / name).is_dir()}
        for name in names:
            if (whole.pictures / name).is_dir():
                inside = SplitFolders(whole.pictures / name, whole.annotations / name)
                found.setdefault(whole.pictures / name, inside)
        if len(found) > 1:
            raise InputError(
                f"{folder} has {len(found)} folders of the split {split}: {first_few(list(found))}. Leave one."
            )
        if found:
            [splits[split]] = found.values()
    if splits and (loose := list_files(whole.pictures, SUFFIXES)):
        raise InputError(
            f"{whole.pictures} has folders for splits ({', '.join(splits)}) and {len(loose)} pictures beside them, "
            f"which would be in none: {first_few([file.name for file in loose])}. Sort them in, or move them away."
        )
    splits = splits or {"": whole}
    _check_depth([of.pictures for of in splits.values()], [] if whole.pictures == folder else [whole.pictures])
    return splits


def _check_depth(read: Sequence[Path], above: Sequence[Path]) -> None:
    """Check that no other folder within those that are read, or `above`, has pictures; hidden ones may."""
    aside = {
        file
        for around in (*read, *above)
        for file in around.rglob("*")
        if file.suffix.lower() in SUFFIXES and file.parent not in read
        if not any(part.startswith(".") for part in file.relative_to(around).parts)
    }
    if aside:
        counts = [f"{path} ({count})" for path, count in sorted(Counter(file.parent for file in aside).items())]
        raise InputError(
            f"pictures in folders that are not read: {first_few(counts)}. Move them to {first_few(read)}, or away."
        )


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
