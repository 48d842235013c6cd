"""Folders of pictures with an annotation file in COCO format. Everything but the pixels is checked at opening."""

import json
import logging
import math
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8

from lad_jax.data.class_names import CONTROL
from lad_jax.data.folders import missing_files
from lad_jax.data.pictures import read_picture
from lad_jax.data.records import Record
from lad_jax.errors import InputError, first_few
from lad_jax.paths import why_missing

_log = logging.getLogger(__name__)

_NEEDED: dict[str, dict[str, Any]] = {
    "categories": {"id": int, "name": str},
    "images": {"id": int, "file_name": str, "width": int, "height": int},
    "annotations": {"id": int, "image_id": int, "category_id": int, "bbox": list, "area": (int, float)},
}
_IGNORED = "marked 'ignore'"


class CocoFolder:
    """A data set in COCO format.

    Category ids of any numbering become labels 0…C-1 by rising id. Boxes that the reference leaves out (spec 9.1)
    are left out of the records, but not of `ground_truth()`.

    Args:
      images: the folder of pictures.
      annotations: the JSON file.
      strict: whether a box that would be left out is an error.
      annotated: whether the file must have `annotations`; that of pictures for a server to evaluate has none.
      key: dotted name of the options `images` and `annotations`, for messages.

    Raises:
      InputError: a fault of the folder or the file; no picture is decoded to find it.
    """

    def __init__(
        self,
        images: str,
        annotations: str,
        *,
        strict: bool = False,
        annotated: bool = True,
        key: str = "config.data.train",
    ) -> None:
        for name, value in {"images": images, "annotations": annotations}.items():
            if not value:
                raise InputError(f"{key}.{name} is empty: give the path of a COCO-format data set.")
        self._folder, self._file = Path(images), Path(annotations)
        content = load_annotations(self._file, f"{key}.annotations", annotated=annotated)
        self.category_ids, self.class_names = labels_of(content)
        _check_files(self._folder, [image["file_name"] for image in content["images"]], f"{key}.images")
        self.records = make_records(str(self._file), content, strict=strict)

    def read(self, position: int) -> UInt8[np.ndarray, "h w 3"]:
        """The picture of `records[position]`, RGB.

        Raises:
          InputError: the picture cannot be read or decoded, or is not of the recorded size; names the file.
        """
        record = self.records[position]
        picture = read_picture(self._folder / record.file_name)
        height, width = picture.shape[:2]
        if (width, height) != (record.width, record.height):
            turned = " (after turning it as its EXIF orientation says)" if height == record.width != width else ""
            raise InputError(
                f"picture {self._folder / record.file_name} is {width}x{height} pixels{turned}, but {self._file} says "
                f"{record.width}x{record.height} for image id {record.id}: correct one of them."
            )
        return picture

    def ground_truth(self) -> dict[str, list[dict[str, Any]]]:
        """Images, annotations and categories of the file, read again: whole COCO is too large to keep."""
        content = json.loads(self._file.read_bytes())
        return {section: content.get(section, []) for section in _NEEDED}


def load_annotations(path: Path, key: str, *, annotated: bool = True) -> dict[str, Any]:
    """The content of a file in COCO format, its structure and ids checked.

    Args:
      path: the JSON file.
      key: dotted name of the option that gave it, for messages.
      annotated: whether the file must have `annotations`; without them it gets an empty list.

    Raises:
      InputError: a fault of the file.
    """
    if not path.is_file():
        raise InputError(
            f"annotations file {path} not found: check {key}. (`python -m lad_jax import-voc` and "
            "`import-yolo` make one of these formats.)"
        )
    try:
        content = json.loads(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"annotations file {path} is not JSON ({error}): check {key}.") from None
    if isinstance(content, dict) and not annotated:
        content.setdefault("annotations", [])
    for section, needed in _NEEDED.items():
        if not isinstance(content, dict) or not isinstance(content.get(section), list):
            raise InputError(f"annotations file {path} has no list {section!r}: it must be in COCO's detection format.")
        for number, entry in enumerate(content[section]):
            _check_entry(entry, needed, f"{path}: {section}[{number}]")
        ids = Counter(entry["id"] for entry in content[section])
        if len(ids) < len(content[section]):
            twice = [entry_id for entry_id, count in ids.items() if count > 1]
            raise InputError(f"{path}: duplicate ids in {section}: {first_few(twice)}. Give each entry its own id.")
    for section in ["categories", "images"]:
        if not content[section]:
            raise InputError(f"{path}: {section} is empty; at least one is needed.")
    _check_values(path, content)
    return content


def _check_entry(entry: Any, needed: dict[str, Any], where: str) -> None:
    if not isinstance(entry, dict):
        raise InputError(f"{where} is {entry!r}; it must be an object with {', '.join(needed)}.")
    where = f"{where} (id {entry.get('id')!r})"
    for name, kind in needed.items():
        if name not in entry:
            raise InputError(f"{where} lacks {name!r}; needed: {', '.join(needed)}.")
        if not isinstance(entry[name], kind):
            what = {int: "an integer", str: "text", list: "a list of 4 numbers"}.get(kind, "a number")
            raise InputError(f"{where}: {name} is {entry[name]!r}; it must be {what}.")


def _check_values(path: Path, content: dict[str, Any]) -> None:
    for section, name in {"categories": "name", "images": "file_name"}.items():
        for entry in content[section]:
            if CONTROL.search(entry[name]):
                raise InputError(
                    f"{path}: {name} {entry[name]!r} in {section} (id {entry['id']}) has control characters: rename it."
                )
    for image in content["images"]:
        if image["width"] < 1 or image["height"] < 1:
            size = f"{image['width']}x{image['height']}"
            raise InputError(f"{path}: image id {image['id']} is recorded as {size} pixels: correct its size.")
    for annotation in content["annotations"]:
        box = annotation["bbox"]
        if len(box) != 4 or not all(isinstance(v, int | float) and math.isfinite(v) for v in box):
            raise InputError(f"{path}: bbox of annotation id {annotation['id']} is {box}; it must be 4 finite numbers.")
    for name, section in {"image_id": "images", "category_id": "categories"}.items():
        known = {entry["id"] for entry in content[section]}
        for annotation in content["annotations"]:
            if annotation[name] not in known:
                raise InputError(
                    f"{path}: annotation id {annotation['id']} has {name} {annotation[name]}, which is not in "
                    f"{section!r}: add it there or remove the annotation."
                )


def _check_files(folder: Path, names: list[str], key: str) -> None:
    """Check that all pictures are there."""
    if not folder.is_dir():
        raise InputError(f"images folder {folder} not found: check {key}.")
    outside = [name for name in names if os.path.isabs(name) or os.pardir in name.split("/")]
    if outside:
        raise InputError(
            f"{len(outside)} of {len(names)} pictures would lie outside of {folder}: {first_few(outside)}. Make {key} "
            "a folder that holds all of them, and each file_name a path below it."
        )
    if missing := missing_files(folder, names):
        reason = why_missing(folder, missing[0]) or f"Check {key}."
        raise InputError(f"{len(missing)} of {len(names)} pictures are not in {folder}: {first_few(missing)}. {reason}")


def labels_of(content: dict[str, Any]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Category ids and names by label: by rising id, whatever their numbering."""
    categories = sorted(content["categories"], key=lambda category: category["id"])
    return tuple(category["id"] for category in categories), tuple(category["name"] for category in categories)


def make_records(where: str, content: dict[str, Any], *, strict: bool) -> tuple[Record, ...]:
    """Records of the content of a file in COCO format, in the order of its images.

    Args:
      where: name of the file, for messages.
      content: `categories`, `images` and `annotations`.
      strict: whether a box that would be left out is an error.

    Raises:
      InputError: with `strict`, there is such a box.
    """
    images, annotations = content["images"], content["annotations"]
    position = {image["id"]: i for i, image in enumerate(images)}
    label = {category: i for i, category in enumerate(labels_of(content)[0])}
    owner = np.array([position[a["image_id"]] for a in annotations], np.int64)
    labels = np.array([label[a["category_id"]] for a in annotations], np.int32)
    crowd = np.array([bool(a.get("iscrowd", 0)) for a in annotations], bool)
    boxes = np.array([a["bbox"] for a in annotations], np.float64).reshape(-1, 4)
    sizes = np.array([(image["width"], image["height"]) for image in images], np.float64)

    kept = np.ones(len(annotations), bool)
    for reason, bad in _reasons(annotations, boxes, sizes[owner]).items():
        ids = [annotations[i]["id"] for i in np.flatnonzero(kept & bad)]
        kept &= ~bad
        if ids and strict and reason != _IGNORED:
            raise InputError(
                f"{where}: {len(ids)} boxes {reason}: annotation ids {first_few(ids)}. Correct them, or set "
                f"config.data.strict=False to leave them out."
            )
        if ids:
            _log.warning("%s: left out %d boxes %s: annotation ids %s", where, len(ids), reason, first_few(ids))

    boxes[:, 2:] += boxes[:, :2]
    order = np.flatnonzero(kept)
    order = order[np.argsort(owner[order], kind="stable")]
    rows = np.split(order, np.searchsorted(owner[order], np.arange(1, len(images))))
    return tuple(
        Record(
            id=image["id"],
            file_name=image["file_name"],
            width=image["width"],
            height=image["height"],
            boxes=boxes[mine].astype(np.float32),
            labels=labels[mine],
            crowd=crowd[mine],
        )
        for image, mine in zip(images, rows, strict=True)
    )


def _reasons(
    annotations: list[dict[str, Any]], boxes: Float[np.ndarray, "n 4"], sizes: Float[np.ndarray, "n 2"]
) -> dict[str, Bool[np.ndarray, " n"]]:
    """Masks of the annotations that are no objects to train on, by reason.

    Args:
      boxes: x, y, width, height [pixels].
      sizes: width and height of each box's picture [pixels].

    Source: spec 9.1, annotation filter.
    """
    corner, side = boxes[:, :2], boxes[:, 2:]
    inside = np.minimum(corner + side, sizes) - np.maximum(corner, 0)
    return {
        _IGNORED: np.array([bool(a.get("ignore", 0)) for a in annotations], bool),
        "less than 1 pixel wide or high": (side < 1).any(axis=1),
        "outside their picture": (inside <= 0).any(axis=1),
        "with an area of 0 or less": np.array([a["area"] <= 0 for a in annotations], bool),
    }
