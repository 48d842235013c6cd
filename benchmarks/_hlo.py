"""Collectives in the text of a compiled program."""

import re

from benchmarks._text import size

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute", "collective-broadcast")
# Of an asynchronous pair only the end has the plain type of the result.
_COLLECTIVE = re.compile(rf"^\s*(?:ROOT )?%\S+ = (.*?) ({'|'.join(KINDS)})(?:-done)?\(", re.MULTILINE)


def collectives(hlo: str) -> dict[str, dict[str, int]]:
    """Number of collectives of each kind in a compiled program, and the bytes of their results on one device."""
    found: dict[str, dict[str, int]] = {}
    for of_type, kind in _COLLECTIVE.findall(hlo):
        row = found.setdefault(kind, {"count": 0, "bytes": 0})
        row["count"] += 1
        row["bytes"] += size(of_type)
    return found
