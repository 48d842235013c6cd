"""What a program compiled for a GPU launches, by part and by place in the source, and an estimate of its time."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks._convolutions import convolution
from benchmarks._launches import BRANCH, GRAPH, LOOP, Launch
from benchmarks._parts import part_of
from benchmarks._text import Text
from benchmarks._time_model import ASKED, convolution_seconds, kernel_seconds

Key = tuple[str, ...]
COLUMNS = ("launches", "in graphs", "graphs", "asked", "convolutions", "copies", "scatters", "sorts")
"""Numbers in one run of the program; `graphs` are launches of graphs, `asked` the values that the host waits for."""
AMOUNTS = ("GB", "copied GB", "TFLOP", "convolution ms", "ms")
"""Amounts in one run of the program; milliseconds are the model's."""
_OF_PART = tuple(column for column in (*COLUMNS, *AMOUNTS) if column != "graphs")  # a graph may hold several parts


def count(
    text: Text, scopes: Mapping[str, str], launches: Iterable[Launch], networks: tuple[str, ...]
) -> dict[str, Any]:
    """Counts and amounts of a program: the whole's, by `parts`, and lists of `convolutions` and of alike `groups`.

    Args:
      text: the program.
      scopes: the scopes that its instructions were traced in.
      launches: all that it launches.
      networks: names of its networks' scopes.
    """
    parts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    convolutions: defaultdict[Key, Counter[str]] = defaultdict(Counter)
    groups: defaultdict[Key, Counter[str]] = defaultdict(Counter)
    for launch in launches:
        if launch.instruction not in scopes:
            launch = launch._replace(instruction="")
        part = part_of(scopes[launch.instruction], networks)
        sums = {name: value * launch.times for name, value in _of_one(text, launch).items()}
        parts[part].update(sums)
        if sums.get("launches"):
            groups[part, _place(text, launch), _kind(text, launch)].update(sums)
        if sums.get("convolutions") and (product := convolution(text, launch.instruction)):
            convolutions[product.kind, product.layout, product.element].update(sums)
    whole: Counter[str] = Counter()
    for sums_of_part in parts.values():
        whole.update(sums_of_part)
    return {
        **{column: whole[column] for column in (*COLUMNS, *AMOUNTS)},
        "parts": {part: {column: of[column] for column in _OF_PART} for part, of in sorted(parts.items())},
        "convolution kinds": _rows(("computes", "layout", "type"), convolutions, ("launches", "TFLOP", "GB", "ms")),
        "groups": _rows(("part", "place", "kind"), groups, ("launches", "in graphs", "GB", "ms")),
    }


def _of_one(text: Text, launch: Launch) -> dict[str, float]:
    """Counts and amounts of one launch."""
    if launch.kind == GRAPH:
        return {"graphs": 1}
    if launch.kind in (LOOP, BRANCH):
        return {"asked": 1, "ms": 1e3 * ASKED}
    moved = text.moved(launch.instruction)
    found: dict[str, float] = {"launches": 1, "in graphs": int(launch.in_graph), "GB": moved / 1e9}
    if product := convolution(text, launch.instruction):
        ms = 1e3 * convolution_seconds(product, moved)
        return found | {"convolutions": 1, "TFLOP": product.operations / 1e12, "convolution ms": ms, "ms": ms}
    if launch.kind == "kCopy":
        found |= {"copies": 1, "copied GB": moved / 1e9}
    opcodes = text.opcodes(launch.instruction)
    found |= {"scatters": int("scatter" in opcodes), "sorts": int("sort" in opcodes)}
    return found | {"ms": 1e3 * kernel_seconds(moved, launch.in_graph)}


def _place(text: Text, launch: Launch) -> str:
    """Place in the source; of what has none, as copies that the compiler adds, the loop's that it lies in."""
    if place := text.place(launch.instruction):
        return place
    return f"in the loop of {text.place(launch.loop)}" if launch.loop else ""


def _kind(text: Text, launch: Launch) -> str:
    """What alike launches have in common: what a convolution computes, `copy`, `sort`, or a name without its number."""
    if product := convolution(text, launch.instruction):
        return f"convolution, {product.kind}"
    if launch.kind == "kCopy":
        return "copy"
    if "sort" in text.opcodes(launch.instruction):
        return "sort"
    return re.sub(r"(\.\d+|\.clone|_fusion)+$", "", launch.instruction) or launch.kind


def _rows(names: Key, sums: Mapping[Key, Counter[str]], columns: Sequence[str]) -> list[dict[str, Any]]:
    """One row for each key, those of most launches first."""
    in_order = sorted(sums.items(), key=lambda item: -item[1]["launches"])
    return [dict(zip(names, key, strict=True)) | {name: of[name] for name in columns} for key, of in in_order]
