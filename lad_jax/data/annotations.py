"""Annotation files in COCO format, read by the meaning of their values, and the one rule of which boxes count."""

import json
import math
import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from lad_jax.data.class_names import CONTROL
from lad_jax.data.text import read_text
from lad_jax.data.values import FIELDS, OPTIONAL, Reader
from lad_jax.errors import InputError, first_few

Content = dict[str, list[dict[str, Any]]]
"""`categories`, `images` and `annotations`, each with the keys of `FIELDS`."""
IGNORED = "marked 'ignore'"
_LONGEST = 1000
"""Number of digits above which an integer of a file is no number that anybody means."""


def load_annotations(path: Path, key: str, *, annotated: bool = True) -> Content:
    """The content of a file in COCO format, its values as they are meant and nothing else.

    Text that is plainly a number is one, and a flag may be any spelling of yes or no. Ids are integers of any size. An
    annotation without an area has None.

    Args:
      path: the JSON file.
      key: dotted name of the option that gave it, for messages.
      annotated: whether the file must have `annotations`; without them it gets an empty list.

    Raises:
      InputError: a fault of the file.
    """
    content = _load_json(path, key)
    if isinstance(content, dict) and not annotated:
        content.setdefault("annotations", [])
    read: Content = {}
    for section, fields in FIELDS.items():
        if not isinstance(content, dict) or not isinstance(content.get(section), list):
            raise InputError(f"annotations file {path} has no list {section!r}: it must be in COCO's detection format.")
        optional = OPTIONAL if section == "annotations" else {}
        read[section] = [
            _read_entry(entry, fields, optional, f"{path}: {section}[{number}]")
            for number, entry in enumerate(content[section])
        ]
        _check_unique(read[section], "id", f"{path}: duplicate ids in {section}", "Give each entry its own id.")
    for section in ["categories", "images"]:
        if not read[section]:
            raise InputError(f"{path}: {section} is empty; at least one is needed.")
    _check_unique(
        read["categories"],
        "name",
        f"{path}: several categories of one name",
        "Their APs could not be told apart: rename them, or give them one id.",
    )
    _check_names(path, read)
    _check_references(path, read)
    return read


def counted(content: Content) -> Content:
    """What an evaluation counts: the content with `areas`, without the boxes that `left_out` names but ignored ones.

    An ignored one is no object that can be missed, and what is detected there is no mistake.
    """
    gone = [bad for reason, bad in left_out(content).items() if reason != IGNORED]
    kept = ~np.logical_or.reduce(gone)
    rows = zip(content["annotations"], areas(content["annotations"]), kept, strict=True)
    return {**content, "annotations": [{**annotation, "area": area} for annotation, area, is_kept in rows if is_kept]}


def left_out(content: Content) -> dict[str, Bool[np.ndarray, " n"]]:
    """Masks of the annotations that are no objects, neither to train on nor to find, by reason.

    Source: spec 9.1, annotation filter.
    """
    annotations = content["annotations"]
    sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
    size = np.array([sizes[a["image_id"]] for a in annotations], np.float64).reshape(-1, 2)
    boxes = boxes_of(annotations)
    corner, side = boxes[:, :2], boxes[:, 2:]
    inside = np.minimum(corner + side, size) - np.maximum(corner, 0)
    return {
        IGNORED: np.array([a.get("ignore", 0) for a in annotations], bool),
        "less than 1 pixel wide or high": (side < 1).any(axis=1),
        "outside their picture": (inside <= 0).any(axis=1),
        "with an area of 0 or less": np.array(areas(annotations), np.float64) <= 0,
    }


def boxes_of(annotations: Sequence[Mapping[str, Any]]) -> Float[np.ndarray, "n 4"]:
    """Boxes of annotations: x, y, width, height [pixels]."""
    return np.array([a["bbox"] for a in annotations], np.float64).reshape(-1, 4)


def areas(annotations: Sequence[Mapping[str, Any]]) -> list[float]:
    """Areas of annotations [pixels]: the file's, or the boxes' where the file has none or only placeholders."""
    of_boxes = _areas_of_boxes(annotations)
    given = [a.get("area") for a in annotations]
    if have_placeholder_areas(annotations):
        return of_boxes
    return [box if area is None else float(area) for area, box in zip(given, of_boxes, strict=True)]


def have_placeholder_areas(annotations: Sequence[Mapping[str, Any]]) -> bool:
    """Whether boxes that differ in area are all said to have the same, such as 0 or 1."""
    given = {a.get("area") for a in annotations}
    return len(given) == 1 and None not in given and len(set(_areas_of_boxes(annotations))) > 1


def find_doubts(content: Content) -> tuple[str, ...]:
    """Likely mistakes that are no faults, one line each."""
    doubts = []
    if have_placeholder_areas(content["annotations"]):
        area = content["annotations"][0]["area"]
        doubts.append(f"every area is {area:g}, a placeholder: the boxes' own areas are taken")
    files = Counter(posixpath.normpath(image["file_name"]) for image in content["images"])
    if twice := [file for file, count in files.items() if count > 1]:
        doubts.append(
            f"{len(twice)} pictures are listed more than once, under several ids: {first_few(twice)}. Where their "
            "objects are divided among the entries, each teaches that the others' are background"
        )
    spellings: dict[str, list[str]] = {}
    for category in content["categories"]:
        spellings.setdefault("".join(category["name"].lower().split()), []).append(category["name"])
    if alike := [" and ".join(map(repr, names)) for names in spellings.values() if len(names) > 1]:
        doubts.append(f"classes differ in capital letters or spaces alone: {first_few(alike)}")
    return tuple(doubts)


def _areas_of_boxes(annotations: Sequence[Mapping[str, Any]]) -> list[float]:
    return boxes_of(annotations)[:, 2:].prod(axis=1).tolist()


def _load_json(path: Path, key: str) -> Any:
    if not path.is_file():
        folder = "" if path.parent.is_dir() else f", nor is its folder {path.parent} there"
        raise InputError(
            f"annotations file {path} not found{folder}: check {key}. (`python -m lad_jax import-voc` and "
            "`import-yolo` make one of these formats.)"
        )
    try:
        # Python refuses to read integers of thousands of digits: such a one is a number that is not finite.
        return json.loads(read_text(path), parse_int=lambda text: int(text) if len(text) < _LONGEST else math.inf)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"annotations file {path} is not JSON ({error}): check {key}.") from None


def _read_entry(entry: Any, fields: Mapping[str, Reader], optional: Mapping[str, Reader], where: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise InputError(f"{where} is {entry!r}; it must be an object with {', '.join(fields)}.")
    for name in fields:
        if name not in entry:
            raise InputError(f"{where} (id {_shown(entry.get('id'))}) lacks {name!r}; needed: {', '.join(fields)}.")
    read = {}
    for name, reader in (*fields.items(), *optional.items()):
        try:
            read[name] = reader(entry.get(name))
        except ValueError as error:
            value, number = _shown(entry[name]), _shown(entry["id"])
            raise InputError(f"{where} (id {number}): {name} is {value}; it must be {error}.") from None
    return read


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}…"


def _check_unique(entries: Sequence[Mapping[str, Any]], name: str, problem: str, remedy: str) -> None:
    twice = [value for value, count in Counter(entry[name] for entry in entries).items() if count > 1]
    if twice:
        raise InputError(f"{problem}: {first_few(twice)}. {remedy}")


def _check_names(path: Path, content: Content) -> None:
    for section, name in {"categories": "name", "images": "file_name"}.items():
        for entry in content[section]:
            if CONTROL.search(entry[name]):
                raise InputError(
                    f"{path}: {name} {entry[name]!r} in {section} (id {entry['id']}) has control characters: rename it."
                )


def _check_references(path: Path, content: Content) -> None:
    for name, section in {"image_id": "images", "category_id": "categories"}.items():
        known = {entry["id"] for entry in content[section]}
        for annotation in content["annotations"]:
            if annotation[name] not in known:
                raise InputError(
                    f"{path}: annotation id {annotation['id']} has {name} {annotation[name]}, which is not in "
                    f"{section!r}: add it there or remove the annotation."
                )
