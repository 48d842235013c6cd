"""Suspicious boxes and pictures in annotations that are valid."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from lad_jax.data.records import DataSet, Record
from lad_jax.errors import InputError

TINY = 4
"""Length below which a side is suspicious [pixels, after the picture is resized]."""
WHOLE = 0.95
"""Share of its picture above which a box is suspicious."""
NEAR = 1.0
"""Distance below which two edges are taken for the same [pixels of the original picture]."""
_TURNED = "perhaps drawn before EXIF turned their picture, whose size does not tell: see the sheet"


class Suspect(NamedTuple):
    """A suspicious box."""

    position: int
    """Position of its picture in the records."""
    reason: str
    text: str
    """Description: picture, class and box."""


def find_suspects(
    records: Sequence[Record], sizes: Int[np.ndarray, "n 2"], class_names: Sequence[str]
) -> list[Suspect]:
    """Boxes that are often mistakes, by each reason.

    Args:
      records: facts about the pictures; crowd regions are ignored.
      sizes: height and width of each picture after it is resized [pixels].
      class_names: by label.
    """
    found = []
    for position, (record, hw) in enumerate(zip(records, sizes, strict=True)):
        boxes, labels = record.boxes[~record.crowd].astype(np.float64), record.labels[~record.crowd]
        size = np.array([record.width, record.height])
        frame = np.tile(size, 2)
        sides = (boxes[:, 2:] - boxes[:, :2]) * (hw[::-1] / size)
        inside = np.clip(boxes, 0, frame)
        covered = (inside[:, 2:] - inside[:, :2]).prod(axis=1) / size.prod()
        same = np.tril(np.abs(boxes[:, None] - boxes[None]).max(axis=-1, initial=0) < NEAR, k=-1)
        alike = labels[:, None] == labels[None]
        reasons = {
            f"less than {TINY} pixels wide or high after resizing": (sides < TINY).any(axis=1),
            "reaching beyond the picture": ((boxes < -NEAR) | (boxes > frame + NEAR)).any(axis=1),
            "over the whole picture": covered > WHOLE,
            "there twice": (same & alike).any(axis=1),
            "of two classes at once": (same & ~alike).any(axis=1),
        }
        for reason, bad in reasons.items():
            for i in np.flatnonzero(bad):
                x1, y1, x2, y2 = boxes[i]
                text = f"{record.file_name}: {class_names[labels[i]]}, ({x1:g}, {y1:g}) to ({x2:g}, {y2:g})"
                found.append(Suspect(position, reason, text))
    return found


def pictures_in_both(train: Sequence[Record], val: Sequence[Record]) -> list[str]:
    """File names of validation pictures with objects that are training pictures too: same name, size and boxes."""
    known = {_identity(record) for record in train}
    return [record.file_name for record in val if len(record.boxes) and _identity(record) in known]


def _identity(record: Record) -> tuple[object, ...]:
    return record.file_name, record.width, record.height, record.boxes.tobytes()


def unreadable(dataset: DataSet, positions: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Positions of the pictures that cannot be read, and messages about them, as they are found."""

    def problem(position: int) -> str | None:
        try:
            dataset.read(position)
        except InputError as error:
            return str(error)
        return None

    with ThreadPoolExecutor() as pool:  # reading and decoding do not hold Python's lock
        try:
            for position, text in zip(positions, pool.map(problem, positions), strict=True):
                if text:
                    yield position, text
        finally:
            pool.shutdown(cancel_futures=True)  # where it ends early, what has not begun is not waited for


def find_turned(dataset: DataSet, positions: Sequence[int]) -> list[Suspect]:
    """Boxes in pictures whose EXIF orientation turns or mirrors them and leaves their size as it is.

    Where it exchanges width and height, the recorded size shows whether boxes were drawn on the turned picture.
    """
    found = []
    for position in positions:
        record, orientation = dataset.records[position], dataset.orientation(position)
        if (orientation >= 5 and record.width != record.height) or orientation == 1:
            continue
        text = f"{record.file_name}: EXIF orientation {orientation}"
        found += [Suspect(position, _TURNED, f"{text}, {box.tolist()}") for box in record.boxes]
    return found
