"""Collectives in the text of a compiled program."""

import math
import re

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute", "collective-broadcast")
# Of an asynchronous pair only the end has the plain type of the result.
_COLLECTIVE = re.compile(rf"^\s*(?:ROOT )?%\S+ = (.*?) ({'|'.join(KINDS)})(?:-done)?\(", re.MULTILINE)
_ARRAY = re.compile(r"\b(pred|[a-z]+(\d+)\w*)\[([\d,]*)\]")


def collectives(hlo: str) -> dict[str, dict[str, int]]:
    """Number of collectives of each kind in a compiled program, and the bytes of their results on one device."""
    found: dict[str, dict[str, int]] = {}
    for of_type, kind in _COLLECTIVE.findall(hlo):
        row = found.setdefault(kind, {"count": 0, "bytes": 0})
        row["count"] += 1
        row["bytes"] += sum(
            math.prod(int(n) for n in shape.split(",") if n) * int(bits or 8) // 8
            for _, bits, shape in _ARRAY.findall(of_type)
        )
    return found
