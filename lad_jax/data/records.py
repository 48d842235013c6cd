"""The nouns of the data room: a picture's record, and a data set."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from lad_jax.errors import first_few
from lad_jax.rounding import round_up

MIN_SIDE = 32
"""Training leaves out pictures with a side shorter than this [pixels] (spec 9.1)."""


class Record(NamedTuple):
    """Facts about a picture before it is decoded. Boxes are in annotation order: the order decides ties."""

    id: int
    """Id of the picture in the data set; any integer."""
    file_name: str
    width: int
    height: int
    boxes: Float[np.ndarray, "n 4"]
    """Boxes `x1 y1 x2 y2` in pixels of the original picture, float32; they may reach beyond it."""
    labels: Int[np.ndarray, " n"]
    """Class index 0…C-1."""
    crowd: Bool[np.ndarray, " n"]
    """True for a region of many objects, which is no object itself."""


@runtime_checkable
class DataSet(Protocol):
    """Pictures with annotated boxes."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names by label."""
        ...

    @property
    def category_ids(self) -> tuple[int, ...]:
        """Category ids in the data set by label."""
        ...

    @property
    def doubts(self) -> Sequence[str]:
        """Likely mistakes in the annotations, one line each."""
        ...

    @property
    def records(self) -> Sequence[Record]: ...

    def read(self, position: int, reduction: int = 1) -> UInt8[np.ndarray, "h w 3"]:
        """The picture of `records[position]`, RGB.

        Args:
          position: place in `records`.
          reduction: factor that it may be decoded smaller by: 1, 2, 4 or 8, a divisor of both sides.

        Raises:
          InputError: the picture cannot be decoded, or is not of the recorded size; names the file.
          Unreachable: the file cannot be had now.
        """
        ...

    def orientation(self, position: int) -> int:
        """EXIF orientation of the picture's file, 1…8: from 2 on `read` turns or mirrors what is stored."""
        ...

    def ground_truth(self) -> dict[str, list[dict[str, Any]]]:
        """What an evaluation counts, in COCO format, with the data set's ids."""
        ...


def training_positions(dataset: DataSet, *, filter_empty: bool) -> Int[np.ndarray, " n"]:
    """Positions of the pictures to train on.

    Left out are pictures with a side below 32 pixels and, if `filter_empty`, pictures without objects (a crowd
    region is none); all of them where no other picture has an object, which leaves nothing to train on.

    Source: spec 9.1, dataset filter.
    """
    records = dataset.records
    large = [i for i, record in enumerate(records) if min(record.width, record.height) >= MIN_SIDE]
    with_object = [i for i in large if not records[i].crowd.all()]
    return np.array(with_object if filter_empty or not with_object else large, np.int64)


def doubt_lines(train: DataSet, val: DataSet, most: int) -> list[str]:
    """Lines about likely mistakes in both sets, with a mark before each.

    Args:
      train, val: the sets.
      most: number of detections of a picture that an evaluation counts.
    """
    lines = [f"! {split}: {doubt}" for split, dataset in (("train", train), ("val", val)) for doubt in dataset.doubts]
    if absent := _absent_classes(train):
        lines.append(f"! train: no object of these classes: {first_few(absent)}. They will not be detected")
    absent = _absent_classes(val)
    if len(absent) == len(val.class_names):
        lines.append("! val: no object at all, so there is no AP: the newest checkpoint is kept, and none as the best")
    elif absent:
        lines.append(
            f"! val: no object of these classes: {first_few(absent)}. They have no AP; the mean leaves them out"
        )
    if crowded := sum(int((~record.crowd).sum()) > most for record in val.records):
        lines.append(
            f"! val: {crowded} pictures have more than {most} objects, but an evaluation counts {most} detections a "
            "picture: raise config.evaluation.postprocess.max_detections"
        )
    return lines


def _absent_classes(dataset: DataSet) -> list[str]:
    """Names of the classes without an object (a crowd region is none), quoted."""
    present = set(np.concatenate([record.labels[~record.crowd] for record in dataset.records]).tolist())
    return [repr(name) for label, name in enumerate(dataset.class_names) if label not in present]


def fingerprint(records: Sequence[Record]) -> str:
    """SHA-256 over ids, sizes, boxes and labels: all that the order and the result of a run depend on."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(f"{record.id} {record.width} {record.height} {len(record.boxes)}\n".encode())
        for array in (record.boxes, record.labels, record.crowd):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def max_objects(records: Sequence[Record]) -> int:
    """G: the most boxes of a picture, crowd regions included, rounded up to a multiple of 8; at least 8."""
    most = max((len(record.boxes) for record in records), default=0)
    return max(round_up(most, 8), 8)
