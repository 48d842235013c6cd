"""Annotations in YOLO's format: one text file a picture, a line an object."""

import math
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lad_jax.commands.importing.layout import SplitFolders, choose_splits, find_splits, no_annotations
from lad_jax.commands.importing.options import ImportOptions
from lad_jax.commands.importing.write import Example, Object, decoded_size, read_splits, refuse_existing, write_splits
from lad_jax.data.class_names import read_class_names
from lad_jax.data.folders import list_files
from lad_jax.data.pictures import SUFFIXES
from lad_jax.data.text import read_text
from lad_jax.errors import InputError, first_few

CLASS_FILES = ("data.yaml", "dataset.yaml", "classes.txt", "labels/classes.txt", "obj.names")
"""Files that may have the class names, where `--classes` gives none."""


def import_yolo(options: ImportOptions) -> None:
    """Write COCO JSON of a folder of pictures and text files `class cx cy w h`, in shares of the picture's sides.

    Splits are folders (see `layout`); the paths in `data.yaml` are not used. A picture without a text file has no
    objects.

    Args:
      options: the folder and what to import; by default the classes are those of one of `CLASS_FILES` in the folder.

    Raises:
      InputError: a fault of the folder or its files; nothing is written then.
    """
    names = read_class_names(_class_file(options))
    folders = find_splits(options.folder, ("images", "Images"), ("labels", "Labels"))
    found = {split: list_files(of.pictures, SUFFIXES) for split, of in folders.items()}
    if not any(found.values()):
        raise InputError(
            f"no picture ({', '.join(SUFFIXES)}) in {first_few([of.pictures for of in folders.values()])}."
        )
    chosen = choose_splits({split: pictures for split, pictures in found.items() if pictures}, options)
    refuse_existing(options.output, chosen)
    reading = {}
    for split, pictures in chosen.items():
        source = split if split in folders else ""
        reading[split] = (partial(_read, labels=_labels(folders[source], found[source]), names=names), pictures)
    write_splits(read_splits(reading), names, options)


def _class_file(options: ImportOptions) -> Path:
    if options.classes:
        return options.classes
    for name in CLASS_FILES:
        if (options.folder / name).is_file():
            return options.folder / name
    raise InputError(f"no class names in {options.folder} ({', '.join(CLASS_FILES)}): give their file by --classes.")


def _labels(folders: SplitFolders, pictures: Sequence[Path]) -> dict[str, Path]:
    """Text files of a split by the name, without suffix, that they share with their picture."""
    twice = [stem for stem, count in Counter(picture.stem for picture in pictures).items() if count > 1]
    if twice:
        raise InputError(
            f"{folders.pictures}: pictures whose names differ in the suffix alone: {first_few(twice)}. Rename them."
        )
    labels = {path.stem: path for path in list_files(folders.annotations, (".txt",)) if path.name != "classes.txt"}
    if not labels:
        raise no_annotations(folders, len(pictures), "text file")
    alone = sorted(labels.keys() - {picture.stem for picture in pictures})
    if alone:
        files = [f"{stem}.txt" for stem in alone]
        raise InputError(
            f"{folders.annotations}: without a picture in {folders.pictures}: {first_few(files)}. Add them or remove "
            "these."
        )
    return labels


def _read(picture: Path, *, labels: dict[str, Path], names: Sequence[str]) -> Example:
    """The picture with the objects of its text file."""
    width, height = decoded_size(picture)
    path = labels.get(picture.stem)
    if path is None:
        return Example(picture, None, width, height, [])
    objects = [
        _object(f"{path}, line {number}", line, names, width, height)
        for number, line in enumerate(read_text(path).splitlines(), start=1)
        if line.strip()
    ]
    return Example(picture, path, width, height, objects)


def _object(where: str, line: str, names: Sequence[str], width: int, height: int) -> Object:
    try:
        number, cx, cy, w, h = map(float, line.split())
    except ValueError:
        number = cx = cy = w = h = math.nan
    if not all(map(math.isfinite, (number, cx, cy, w, h))):
        raise InputError(f"{where} is {line.strip()[:60]!r}; it must be 5 numbers, 'class cx cy w h' (no polygon).")
    if number not in range(len(names)):
        raise InputError(f"{where}: class {number:g}, but there are {len(names)} classes, 0 to {len(names) - 1}.")
    if max(abs(cx), abs(cy), w, h) > 2:
        raise InputError(
            f"{where}: {cx:g} {cy:g} {w:g} {h:g} must be shares of the picture's sides, 0 to 1, not pixels."
        )
    name = names[int(number)]
    box = ((cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height)
    return Object(f"{where} ({name})", name, box)
