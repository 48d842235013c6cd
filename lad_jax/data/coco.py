"""Folders of pictures with an annotation file in COCO format. Everything but the pixels is checked at opening."""

import logging
import os
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from lad_jax.data.annotations import IGNORED, Content, boxes_of, counted, find_doubts, left_out, load_annotations
from lad_jax.data.folders import missing_files
from lad_jax.data.pictures import decode_picture, is_jpeg, orientation, picture_size, read_file
from lad_jax.data.records import Record
from lad_jax.errors import InputError, first_few
from lad_jax.paths import why_missing

_log = logging.getLogger(__name__)


class CocoFolder:
    """A data set in COCO format.

    Category ids of any numbering become labels 0…C-1 by rising id. Boxes that the reference leaves out (spec 9.1) are
    left out of the records and of `ground_truth()`.

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
        self._key, self._annotated = f"{key}.annotations", annotated
        content = load_annotations(self._file, self._key, annotated=annotated)
        self.doubts = find_doubts(content)
        self.category_ids, self.class_names = labels_of(content)
        _check_files(self._folder, [image["file_name"] for image in content["images"]], f"{key}.images")
        self.records = make_records(str(self._file), content, strict=strict)

    def read(self, position: int, reduction: int = 1) -> UInt8[np.ndarray, "h w 3"]:
        """The picture of `records[position]`, RGB; see `DataSet.read`.

        Raises:
          InputError: the picture cannot be read or decoded, or is not of the recorded size; names the file.
        """
        record = self.records[position]
        path = self._folder / record.file_name
        data = read_file(path)
        picture = decode_picture(data, str(path), reduction)
        # Of a JPEG that was decoded smaller the header alone says the size.
        height, width = picture_size(data, str(path)) if reduction > 1 and is_jpeg(data) else picture.shape[:2]
        if (height, width) == (record.height, record.width):
            return picture
        turned = " (after turning it as its EXIF orientation says)" if height == record.width != width else ""
        raise InputError(
            f"picture {path} is {width}x{height} pixels{turned}, but {self._file} says "
            f"{record.width}x{record.height} for image id {record.id}: correct one of them."
        )

    def orientation(self, position: int) -> int:
        """EXIF orientation of the picture's file, 1…8."""
        return orientation(self._folder / self.records[position].file_name)

    def ground_truth(self) -> Content:
        """What an evaluation counts (`counted`), from the file again: whole COCO is too large to keep."""
        return counted(load_annotations(self._file, self._key, annotated=self._annotated))


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


def labels_of(content: Content) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Category ids and names by label: by rising id, whatever their numbering."""
    categories = sorted(content["categories"], key=lambda category: category["id"])
    return tuple(category["id"] for category in categories), tuple(category["name"] for category in categories)


def make_records(where: str, content: Content, *, strict: bool) -> tuple[Record, ...]:
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
    crowd = np.array([a["iscrowd"] for a in annotations], bool)
    boxes = boxes_of(annotations)

    kept = np.ones(len(annotations), bool)
    for reason, bad in left_out(content).items():
        ids = [annotations[i]["id"] for i in np.flatnonzero(kept & bad)]
        kept &= ~bad
        if ids and strict and reason != IGNORED:
            raise InputError(
                f"{where}: {len(ids)} boxes {reason}: annotation ids {first_few(ids)}. Correct them, or set "
                f"config.data.strict=False to leave them out."
            )
        if ids:
            _log.warning(
                "%s: left out %d boxes %s, of training and of the AP: annotation ids %s",
                *(where, len(ids), reason, first_few(ids)),
            )

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
