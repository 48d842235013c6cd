"""Annotations in Pascal VOC's format: one XML file a picture."""

import logging
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn
from xml.etree import ElementTree

from lad_jax.commands.importing.layout import SplitFolders, choose_splits, find_splits, no_annotations
from lad_jax.commands.importing.options import ImportOptions
from lad_jax.commands.importing.write import Example, Object, decoded_size, read_splits, refuse_existing, write_splits
from lad_jax.data.class_names import read_class_names
from lad_jax.data.folders import list_files
from lad_jax.data.pictures import SUFFIXES
from lad_jax.data.text import read_text, read_xml
from lad_jax.data.values import flag
from lad_jax.errors import InputError, first_few

_log = logging.getLogger(__name__)

Coordinates = Literal["voc", "edges"]
"""Meaning of a box's numbers. voc: pixels counted from 1, the last one included. edges: distances of the box's edges
from the picture's upper left corner, as LabelImg and CVAT write them."""
_LISTS = ("train", "val", "trainval", "test")
"""Lists of ImageSets/Main that are imported unless others are named: the rest lists pictures by class."""


def import_voc(options: ImportOptions, *, coordinates: Coordinates, keep_difficult: bool) -> None:
    """Write COCO JSON of a folder in VOC's layout, or with the XML files beside the pictures.

    Splits are the lists `ImageSets/Main/NAME.txt` or else folders (see `layout`). An object that is marked difficult
    becomes a crowd region: it is not trained on, and counts neither for nor against a detector, as in VOC's evaluation.

    Args:
      options: the folder and what to import; by default the classes are all names in the splits that are imported, in
        alphabetical order.
      coordinates: meaning of the numbers in the files.
      keep_difficult: whether difficult objects are imported as any others.

    Raises:
      InputError: a fault of the folder or its files; nothing is written then.
    """
    splits, folders, listed = _find_files(options)
    refuse_existing(options.output, splits)
    names = read_class_names(options.classes) if options.classes else ()
    pictures = {folder: _by_name(list_files(folder, SUFFIXES)) for folder in {of.pictures for of in folders.values()}}
    read = partial(_read, coordinates=coordinates, keep_difficult=keep_difficult)
    reading = {
        split: (partial(read, pictures=pictures[folders[split].pictures]), files) for split, files in splits.items()
    }
    examples = read_splits(reading)
    if not listed:
        _warn_of_unclaimed(pictures, [example.picture for split in examples.values() for example in split])
    _warn_of_shared(examples)
    if not names:
        names = tuple(sorted({obj.name for split in examples.values() for example in split for obj in example.objects}))
    write_splits(examples, names, options)


def _find_files(options: ImportOptions) -> tuple[dict[str, list[Path]], dict[str, SplitFolders], bool]:
    """XML files and folders of each split, and whether lists say which files are in one."""
    folder = options.folder
    folders = find_splits(folder, ("JPEGImages", "images", "Images"), ("Annotations", "annotations"))
    found = {split: list_files(of.annotations, (".xml",)) for split, of in folders.items()}
    if not any(found.values()):
        raise InputError(f"no XML file in {first_few([of.annotations for of in folders.values()])}: is {folder} VOC's?")
    lists = folder / "ImageSets" / "Main"
    chosen = [name for name in options.splits or _LISTS if (lists / f"{name}.txt").is_file()]
    listed = bool(chosen) and "" in folders
    if listed:
        known = {file.stem: file for file in found[""]}
        found = {name: _listed(lists / f"{name}.txt", known) for name in chosen}
        folders = dict.fromkeys(chosen, folders[""])
    for split in options.splits or found:
        if split in found and not found[split] and (pictures := list_files(folders[split].pictures, SUFFIXES)):
            raise no_annotations(folders[split], len(pictures), "XML file")
    splits = choose_splits({split: files for split, files in found.items() if files}, options)
    return splits, {split: folders[split if split in folders else ""] for split in splits}, listed


def _listed(path: Path, known: dict[str, Path]) -> list[Path]:
    """XML files that a list names, a stem a line: only files of the folder can be named."""
    stems = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    absent = [stem for stem in stems if stem not in known]
    if absent:
        raise InputError(f"{path}: without an annotation file: {first_few(absent)}. Or choose other lists by --splits.")
    return [known[stem] for stem in dict.fromkeys(stems)]


def _warn_of_unclaimed(pictures: dict[Path, dict[str, list[Path]]], claimed: Sequence[Path]) -> None:
    """Say which pictures of the folders are left out, since no XML file is about them."""
    for folder, names in pictures.items():
        if alone := sorted({file for files in names.values() for file in files} - set(claimed)):
            _log.warning(
                "%s: left out %d pictures without an XML file: %s. One without objects needs an XML file that has none",
                *(folder, len(alone), first_few([file.name for file in alone])),
            )


def _warn_of_shared(examples: dict[str, list[Example]]) -> None:
    """Say which pictures are both trained on and validated with."""
    train, val = ({example.picture for example in examples.get(split, [])} for split in ("train", "val"))
    if shared := sorted(train & val):
        _log.warning("%d pictures are in train and in val: %s", len(shared), first_few([file.name for file in shared]))


def _by_name(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Pictures by name, and by name without suffix."""
    names: dict[str, list[Path]] = {}
    for file in files:
        names.setdefault(file.name, []).append(file)
        names.setdefault(file.stem, []).append(file)
    return names


def _read(path: Path, *, pictures: dict[str, list[Path]], coordinates: Coordinates, keep_difficult: bool) -> Example:
    """The picture of an XML file with its objects."""
    root = _parse(path)
    # The file's name counts first: `filename` is often the one from before pictures were renamed.
    named = (root.findtext("filename") or "").strip()
    found = pictures.get(path.stem, [])
    found = found if len(found) == 1 else pictures.get(named, [])
    if len(found) != 1:
        raise InputError(
            f"{path}: {len(found)} pictures found for it; there must be one, {path.stem!r} with {', '.join(SUFFIXES)}, "
            f"or {named!r}."
        )
    width, height = decoded_size(found[0])
    _check_size(path, root, found[0], width, height)
    objects = [
        _object(f"{path}, object {number}", element, coordinates, keep_difficult)
        for number, element in enumerate(root.findall("object"), start=1)
    ]
    return Example(found[0], path, width, height, objects)


class _WithoutDtd(ElementTree.TreeBuilder):
    """A builder that refuses a file that declares entities: these can grow without bounds."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:
        raise ValueError("it has a DOCTYPE, which annotations do not need: remove it")


def _parse(path: Path) -> Any:
    text = read_xml(path)
    try:
        parser = ElementTree.XMLParser(target=_WithoutDtd())
        parser.feed(text)
        root = parser.close()
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{path} is not readable XML: {error}.") from None
    if root.tag != "annotation":
        raise InputError(f"{path}: its outermost element is <{root.tag}>, not <annotation>: this is not VOC's format.")
    return root


def _check_size(path: Path, root: Any, picture: Path, width: int, height: int) -> None:
    """Check that the recorded size, where there is one (some tools write 0), is the decoded one."""
    noted = tuple(_number(path, root, f"size/{side}", "0") for side in ("width", "height"))
    if 0 in noted or noted == (width, height):
        return
    message = f"{path} is for a picture of {noted[0]:g}x{noted[1]:g} pixels, but {picture} has {width}x{height}"
    if noted == (height, width):
        message += (
            " after turning it as its EXIF orientation says: if the boxes fit the unturned picture, remove its EXIF"
        )
    raise InputError(f"{message}; correct one of them.")


def _object(where: str, element: Any, coordinates: Coordinates, keep_difficult: bool) -> Object:
    name = (element.findtext("name") or "").strip()
    if not name:
        raise InputError(f"{where} has no name.")
    where = f"{where} ({name})"
    x1, y1, x2, y2 = (_number(where, element, f"bndbox/{edge}") for edge in ("xmin", "ymin", "xmax", "ymax"))
    if coordinates == "voc":
        if min(x1, y1) < 1:
            raise InputError(
                f"{where}: xmin is {x1:g} and ymin {y1:g}, but VOC counts pixels from 1. If these are distances from "
                f"the picture's corner (LabelImg, CVAT), give --coordinates=edges."
            )
        x1, y1 = x1 - 1, y1 - 1
    text = element.findtext("difficult") or ""
    try:
        difficult = bool(flag(text))
    except ValueError as error:
        raise InputError(f"{where}: difficult is {text!r}; it must be {error}.") from None
    return Object(where, name, (x1, y1, x2, y2), crowd=difficult and not keep_difficult)


def _number(where: object, element: Any, path: str, default: str = "") -> float:
    text = element.findtext(path, default)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: {path} is {text!r}; it must be a number.")
    return value
