"""COCO as tensorflow-datasets prepares it, read picture by picture from array_record files, without TensorFlow.

An annotation file is restored from what TFDS keeps of it:

* A box is stored as float32 shares of the picture's sides, here multiplied out and rounded to 1/1000 pixel: for
  COCO's two decimals and sides below 8000 pixels exactly the box that the annotation file has.
* The area is stored as an integer, cut off. Whether an object counts as small, medium or large may change where its
  area is within 1 of 32² or 96²; an area below 1 becomes 0, and such a box is left out of training.
* The category ids are not stored. The 80 names of COCO get COCO's ids back, other names 1…C.
* The order of the pictures is lost; they are put in order of their ids. Those of COCO's own files are not.
* The size of a picture is not stored. It is read from the picture's header.

So everything but the pixels can only be had by reading all records, which takes minutes for COCO. It is done once and
kept, as an annotation file in COCO format, in the user's cache folder.
"""

import copy
import hashlib
import io
import json
import logging
import tempfile
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from lad_jax.data.annotations import Content, counted, find_doubts
from lad_jax.data.categories import COCO
from lad_jax.data.coco import labels_of, make_records
from lad_jax.data.pictures import Unreachable, decode_picture, orientation, picture_size
from lad_jax.errors import InputError, first_few
from lad_jax.paths import cache_folder

NAME = "coco/2017/1.1.0"
"""Name of the one prepared data set whose layout this module knows."""
PREPARE = "python -m scripts.prepare_tfds --coco=COCO_FOLDER --output=NEW_FOLDER"
"""Command that prepares the data set (docs/data.md)."""
_KEY = "config.data.tfds"
_LAYOUT = 1
"""Version of the layout of the files in the cache; another number makes new ones."""

_log = logging.getLogger(__name__)


class TfdsCoco:
    """A split of COCO, prepared by TFDS as array_record. Pictures in the order of their ids.

    Args:
      directory: folder of the prepared version, `…/coco/2017/1.1.0`.
      split: name of the split.
      strict: whether a box that would be left out is an error.
      image_ids: the pictures to take; None: all.

    Raises:
      InputError: a fault of the folder or the split, or a picture without a header; no picture is decoded to find it.
    """

    def __init__(
        self,
        directory: str,
        split: str,
        *,
        strict: bool = False,
        image_ids: Collection[int] | None = None,
    ) -> None:
        self._where = f"split {split!r} of {directory}"
        self._source, self._names, shards = _open(directory, split)
        self._index = _index_file(Path(directory), split, shards)
        content = self._content()
        if image_ids is not None:
            content = _select(content, set(image_ids), self._where)
        self.doubts = find_doubts(content)
        self.category_ids, self.class_names = labels_of(content)
        self.records = make_records(self._where, content, strict=strict)
        self._positions = [image["position"] for image in content["images"]]

    def read(self, position: int, reduction: int = 1) -> UInt8[np.ndarray, "h w 3"]:
        """The picture of `records[position]`, RGB; see `DataSet.read`.

        Raises:
          InputError: the picture cannot be decoded; names file and split.
          Unreachable: its record cannot be had now.
        """
        return decode_picture(self._file(position), self._name(position), reduction)

    def orientation(self, position: int) -> int:
        """EXIF orientation of the picture's file, 1…8.

        Raises:
          Unreachable: its record cannot be had now.
        """
        return orientation(io.BytesIO(self._file(position)))

    def _name(self, position: int) -> str:
        return f"{self.records[position].file_name} in {self._where}"

    def _file(self, position: int) -> bytes:
        try:
            return self._source[self._positions[position]]["image"]
        except Exception as error:  # of kinds that array_record and TFDS do not document
            # A reader that failed once fails ever after; a copy opens the files anew.
            self._source.data_source = copy.copy(self._source.data_source)
            raise Unreachable(f"cannot read picture {self._name(position)}: {error}.") from None

    def ground_truth(self) -> Content:
        """What an evaluation counts (`counted`), with TFDS's integer areas."""
        return counted(self._content())

    def _content(self) -> Content:
        """The whole split in COCO format; images have their `position` in the split too."""
        if not self._index.exists():
            _write_index(self._index, partial(_read_all, self._source, self._names, self._where))
        return json.loads(self._index.read_bytes())


def _open(directory: str, split: str) -> tuple[Any, tuple[str, ...], list[Path]]:
    """The split's records with random access, pictures undecoded; the names of the labels; the split's files."""
    import tensorflow_datasets as tfds  # takes a second, and only this source needs it

    if not directory:
        raise InputError(f"{_KEY}.directory is empty: give the folder of the prepared version, …/{NAME}.")
    folder = Path(directory)
    if not folder.is_dir():
        raise InputError(f"TFDS folder {folder} not found: check {_KEY}.directory.")
    if not (folder / "dataset_info.json").is_file():
        raise InputError(
            f"{folder} is no version that TFDS has prepared (it has no dataset_info.json): {_KEY}.directory must be "
            f"the folder of the version, …/{NAME}."
        )
    _check_features(folder / "features.json")
    builder = tfds.builder_from_directory(folder)
    info = builder.info
    if info.full_name != NAME:
        raise InputError(f"{folder} holds {info.full_name}, but {_KEY}.directory must be a prepared {NAME}.")
    formats = {info.file_format, *info.alternative_file_formats}
    array_record = tfds.core.FileFormat.ARRAY_RECORD
    if array_record not in formats:
        raise InputError(
            f"{folder} is prepared as {info.file_format.value}, which has no random access. Prepare it as "
            f"array_record, into another folder: {PREPARE}"
        )
    if split not in info.splits:
        raise InputError(
            f"{folder}, {_KEY}.directory, has no split {split!r}, but only {', '.join(map(repr, info.splits))}. "
            f"Prepare it again: {PREPARE}"
        )
    source = builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()}, file_format=array_record)
    return source, tuple(info.features["objects"]["label"].names), [Path(p) for p in info.splits[split].filepaths]


def _check_features(path: Path) -> None:
    """Check that the file names no classes but TFDS's: TFDS imports the module of any other, which runs its code."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path}: {error}. Prepare the data set again: {PREPARE}") from None
    strange = sorted(name for name in set(_class_names(content)) if not name.startswith("tensorflow_datasets."))
    if strange:
        raise InputError(f"{path} names classes that are not TFDS's own, {first_few(strange)}: their code is not run.")


def _class_names(content: Any) -> Iterator[str]:
    """Names of Python classes, wherever in the JSON; `type` in files of older versions."""
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        if isinstance(value, dict | list):
            yield from _class_names(value)
        elif key in ("pythonClassName", "python_class_name", "type"):
            yield str(value)


def _index_file(directory: Path, split: str, shards: list[Path]) -> Path:
    """File of a split's annotations in the cache; its name changes with the split's files."""
    missing = [shard.name for shard in shards if not shard.is_file()]
    if missing:
        raise InputError(f"files of split {split!r} are not in {directory}: {first_few(missing)}. Prepare it again.")
    stats = [(shard.name, shard.stat().st_size, shard.stat().st_mtime_ns) for shard in shards]
    identity = json.dumps([_LAYOUT, str(directory.resolve()), split, stats])
    cache = cache_folder("tfds")
    return cache / f"{split}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.json"


def _write_index(path: Path, content: Callable[[], dict[str, Any]]) -> None:
    """Write annotations to a file of the cache; that it can be written is checked before they are made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(dir=path.parent)
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror}): set XDG_CACHE_HOME to a folder for it.") from None
    with scratch as folder:
        file = Path(folder) / path.name
        file.write_text(json.dumps(content()))
        file.replace(path)  # at once: another process may look for it


def _read_all(source: Any, names: tuple[str, ...], where: str) -> dict[str, Any]:
    """Everything but the pixels of all records, in COCO format."""
    _log.info("reading the %d pictures of %s, once, for their boxes and sizes", len(source), where)
    ids = [COCO[name] for name in names] if set(names) == set(COCO) else list(range(1, len(names) + 1))
    images, annotations = [], []
    for position in range(len(source)):
        example = source[position]
        file_name = example["image/filename"].decode()
        height, width = picture_size(example["image"], f"{file_name} in {where}")
        image = {"id": example["image/id"], "file_name": file_name, "width": width, "height": height}
        images.append(image | {"position": position})
        objects = example["objects"]
        boxes = to_pixels(np.array(objects["bbox"], np.float32).reshape(-1, 4), height, width)
        annotations += [
            {
                "id": int(number),
                "image_id": image["id"],
                "category_id": ids[label],
                "bbox": box,
                "area": int(area),
                "iscrowd": int(crowd),
            }
            for number, label, box, area, crowd in zip(
                objects["id"], objects["label"], boxes.tolist(), objects["area"], objects["is_crowd"], strict=True
            )
        ]
    return {
        "categories": [{"id": number, "name": name} for number, name in zip(ids, names, strict=True)],
        "images": sorted(images, key=lambda image: image["id"]),
        "annotations": annotations,
    }


def to_pixels(boxes: Float[np.ndarray, "n 4"], height: int, width: int) -> Float[np.ndarray, "n 4"]:
    """Boxes in COCO's format from TFDS's.

    Args:
      boxes: `y1 x1 y2 x2` as shares of the picture's sides, float32.

    Returns:
      x, y, width, height [pixels], rounded to 1/1000, float64.
    """
    y1, x1, y2, x2 = np.round(boxes.astype(np.float64) * np.array([height, width, height, width]), 3).T
    return np.round(np.stack([x1, y1, x2 - x1, y2 - y1], axis=1), 3)


def _select(content: dict[str, Any], image_ids: set[int], where: str) -> dict[str, Any]:
    """Annotations without the pictures of other ids."""
    missing = sorted(image_ids - {image["id"] for image in content["images"]})
    if missing:
        raise InputError(
            f"{len(missing)} of {len(image_ids)} listed pictures are not in {where}: ids {first_few(missing)}."
        )
    return {
        "categories": content["categories"],
        "images": [image for image in content["images"] if image["id"] in image_ids],
        "annotations": [a for a in content["annotations"] if a["image_id"] in image_ids],
    }
