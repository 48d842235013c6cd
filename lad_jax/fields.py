"""Fields of options: marks beside type and default, and the check that a value is in range."""

import dataclasses
import math
from typing import Any, TypeVar

T = TypeVar("T")
Number = int | float


def option(
    default: T, *, may_change: bool = False, architecture: bool = True, path: bool = False, source: bool = False
) -> T:
    """A dataclass field with a default and marks; a field without marks needs only its default.

    Args:
      default: its value where a config says nothing.
      may_change: whether a resumed run may have another value: it says where things lie, what is shown, how a step is
        computed or what is done about faults, and has no influence on the result. Of a group: whatever is in it.
      architecture: whether weights that were trained with another value do not fit; for options of networks only.
      path: whether the value is a path, which is expanded and checked where the options are made.
      source: whether the value is a source of a network: a path, or `zoo:NAME`.
    """
    marks = {"may_change": may_change, "architecture": architecture, "path": path, "source": source}
    return dataclasses.field(default=default, metadata=marks)


def may_change(field: "dataclasses.Field[Any]") -> bool:
    """Whether a resumed run may have another value of the field."""
    return bool(field.metadata.get("may_change", False))


def is_architecture(field: "dataclasses.Field[Any]") -> bool:
    """Whether weights fit only networks with the same value of this field of their options."""
    return bool(field.metadata.get("architecture", True))


def is_path(field: "dataclasses.Field[Any]") -> bool:
    """Whether the field's value is a path."""
    return bool(field.metadata.get("path", False))


def is_source(field: "dataclasses.Field[Any]") -> bool:
    """Whether the field's value is a source of a network."""
    return bool(field.metadata.get("source", False))


def check_range(
    options: Any, *names: str, least: Number, most: Number | None = None, below: Number | None = None
) -> None:
    """Check that numbers, and all entries of tuples, are finite and within `least` ≤ x ≤ `most` and x < `below`.

    Args:
      options: a dataclass.
      names: of its fields.
      least, most, below: the bounds.

    Raises:
      ValueError: one is not; names the field, its value and the bounds.
    """
    bounds = f"at least {least:g}" if most is None else f"between {least:g} and {most:g}"
    bounds += " and finite" if most is None and below is None else ""
    bounds += "" if below is None else f" and below {below:g}"
    limit = math.inf if below is None else below
    for name in names:
        value = getattr(options, name)
        entries, subject = (value, "each") if isinstance(value, tuple) else ((value,), "it")
        inside = (least <= x < limit and (most is None or x <= most) for x in entries)
        if not all(inside):
            raise ValueError(f"{name} is {value}; {subject} must be {bounds}")
