"""Values of annotation files by their meaning: readers that return it, or raise a ValueError that says what must be."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

Reader = Callable[[Any], Any]
"""A value as it is meant; a ValueError says what it must be."""
LARGEST = 10_000_000
"""Largest distance of a box's edge that is believed [pixels]; float32, in which boxes are, has steps of 1 there."""
_NUMBER = re.compile(r"\s*[+-]?\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,3})?\s*")
_FLAGS = {"0": 0, "1": 1, "false": 0, "true": 1, "0.0": 0, "1.0": 1, "no": 0, "yes": 1, "none": 0, "": 0}
"""Spellings of a flag, in small letters; those of numbers and of JSON's true, false and null among them."""


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("an integer")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("text")
    return value


def _number(value: Any) -> float:
    """A finite number, also as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a number")
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError("a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("a finite number")
    return number


def _side(value: Any) -> int:
    """Pixels of a picture's side, also as text or as a float."""
    number = _number(value)
    if number < 1 or number != int(number):
        raise ValueError("a whole number of pixels, at least 1")
    return int(number)


def _box(value: Any) -> list[float]:
    if not isinstance(value, list) or len(value) != 4:
        raise ValueError("a list of 4 numbers")
    try:
        box = [_number(entry) for entry in value]
    except ValueError as error:
        raise ValueError(f"a list of 4 numbers, each {error}") from None
    if max(map(abs, box)) > LARGEST:
        raise ValueError(f"a list of 4 numbers of at most {LARGEST:,} pixels")
    return box


def flag(value: Any) -> int:
    """0 or 1, by any plain spelling."""
    known = isinstance(value, bool | int | float | str) or value is None
    spelling = str(value).strip().lower() if known else "?"
    if spelling not in _FLAGS:
        raise ValueError("0 or 1")
    return _FLAGS[spelling]


def _area(value: Any) -> float | None:
    return None if value is None else _number(value)


FIELDS: Mapping[str, Mapping[str, Reader]] = {
    "categories": {"id": _integer, "name": _text},
    "images": {"id": _integer, "file_name": _text, "width": _side, "height": _side},
    "annotations": {"id": _integer, "image_id": _integer, "category_id": _integer, "bbox": _box},
}
OPTIONAL: Mapping[str, Reader] = {"area": _area, "iscrowd": flag, "ignore": flag}
"""Fields that an annotation may lack: it has then the box's area, and is neither a crowd nor ignored."""
