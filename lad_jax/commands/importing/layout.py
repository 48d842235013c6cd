"""Layouts of folders: the pictures and annotations of each split.

A folder is a data set of one split, or has splits, in either of two ways:

    images/a.jpg   labels/a.txt             images/train/a.jpg   labels/train/a.txt      images/val/…
    a.jpg          a.txt                    train/images/a.jpg   train/labels/a.txt      val/images/…

Each folder of the second line may also hold pictures and annotations side by side.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from lad_jax.commands.importing.options import ImportOptions
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
        places = {}
        for name in names:
            places[whole.pictures / name] = SplitFolders(whole.pictures / name, whole.annotations / name)
            places[folder / name] = split_in(folder / name)
        found = {path: of for path, of in places.items() if path.is_dir()}
        if len(found) > 1:
            raise InputError(
                f"{folder} has {len(found)} folders of the split {split}: {first_few(list(found))}. Leave one."
            )
        if found:
            [splits[split]] = found.values()
    splits = splits or {"": whole}
    read = [of.pictures for of in splits.values()]
    beside = whole.pictures.iterdir() if whole.pictures == folder else whole.pictures.rglob("*")
    _refuse_unread([*beside, *(file for pictures in read for file in pictures.rglob("*"))], read, folder)
    return splits


def _refuse_unread(files: Iterable[Path], read: Sequence[Path], folder: Path) -> None:
    """Raise InputError if some of the files are pictures in other folders than those that are read; hidden ones may."""
    unread = {
        file
        for file in files
        if file.suffix.lower() in SUFFIXES and file.parent not in read and file.is_file()
        if not any(part.startswith(".") for part in file.relative_to(folder).parts)
    }
    if unread:
        counts = [f"{path} ({count})" for path, count in sorted(Counter(file.parent for file in unread).items())]
        raise InputError(
            f"pictures in folders that are not read: {first_few(counts)}. Move them to {first_few(read)}, or away."
        )


def no_annotations(of: SplitFolders, n_pictures: int, kind: str) -> InputError:
    """The error of a split whose pictures have no file of annotations at all; they would be taken for background."""
    return InputError(
        f"{of.annotations} has no {kind} for the {n_pictures} pictures of {of.pictures}: add them, rename the folder "
        "that has them, or leave the split out by --splits."
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
