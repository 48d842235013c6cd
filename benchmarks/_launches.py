"""Launches of a program on a GPU, read from the sequence of thunks that XLA's compiler writes.

A thunk is what XLA's runtime does at once: a kernel, a copy, a call of a library. A command buffer becomes a CUDA
graph, whose thunks the host launches together. A loop or branch outside of a graph is led by the host: it waits for the
value that decides, unless the number of turns is known.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

GRAPH, LOOP, BRANCH = "kCommandBuffer", "kWhile", "kConditional"

_THUNK = re.compile(r"^( *)(\d+): (k\w+)")
_ROLE = re.compile(r"^ *(\w+):\s*$")


@dataclass(frozen=True)
class Thunk:
    """A thunk, and those that it runs."""

    kind: str
    instruction: str
    """Name of its instruction in the program; empty where the compiler keeps none, as for a graph."""
    inside: dict[str, list["Thunk"]] = field(default_factory=dict)
    """Thunks that it runs: `condition` and `body` of a loop, a list for each way of a branch, else one without name."""


class Launch(NamedTuple):
    """A launch; for a loop or branch the times that it asks the host."""

    kind: str
    instruction: str
    times: int
    in_graph: bool
    loop: str
    """The innermost loop that it lies in; empty outside of loops."""


class Turns(NamedTuple):
    """The number of turns of a loop."""

    number: int
    known: bool
    """Whether the compiler knows it; else the number is assumed."""


def read(sequence: str, names: str) -> list[Thunk]:
    """The thunks of a program.

    Args:
      sequence: lines `NUMBER: KIND …`, indented by what encloses them, and the names of a loop's or branch's parts.
      names: blocks that give the instruction behind a number and kind.
    """
    instructions = _instructions(names)
    top = Thunk("program", "")
    stack: list[tuple[int, Thunk, str]] = [(-1, top, "")]
    for line in sequence.splitlines():
        if match := _THUNK.match(line):
            indent, number, kind = len(match[1]), int(match[2]), match[3]
            while stack[-1][0] >= indent:
                stack.pop()
            _, outer, role = stack[-1]
            thunk = Thunk(kind, instructions.get((number, kind), ""))
            outer.inside.setdefault(role, []).append(thunk)
            stack.append((indent, thunk, ""))
        elif match := _ROLE.match(line):
            while stack[-1][1].kind not in (LOOP, BRANCH) or stack[-1][2]:
                stack.pop()
            indent, outer, _ = stack[-1]
            stack.append((indent, outer, match[1]))
    return top.inside.get("", [])


def _instructions(names: str) -> dict[tuple[int, str], str]:
    found = {}
    for block in names.split("thunk_metadata {")[1:]:
        number, name, kind = (
            re.search(pattern, block)
            for pattern in (r"thunk_id: (\d+)", r'profile_annotation: "([^"]*)"', r'thunk_kind: "(\w+)"')
        )
        if number and name and kind:
            found[int(number[1]), kind[1]] = name[1]
    return found


def launches(
    thunks: Sequence[Thunk],
    turns_of: Callable[[str], Turns],
    times: int = 1,
    in_graph: bool = False,
    loop: str = "",
) -> Iterator[Launch]:
    """All that a program launches, each with how often.

    A graph's thunks are launches within it, and the graph is one itself. In a graph a loop looks at its condition on
    the device, whether or not its number of turns is known. Of the ways of a branch that of most kernels is taken,
    copies not counted.

    Args:
      thunks: in their order.
      turns_of: number of turns of a loop, by its instruction.
      times: how often these thunks run.
      in_graph: whether they lie in a graph.
      loop: the innermost loop that they lie in.
    """
    for thunk in thunks:
        kind, name, inside = thunk.kind, thunk.instruction, thunk.inside
        if kind == LOOP:
            turns = turns_of(name)
            looks = times * (0 if turns.known and not in_graph else turns.number + 1)
            yield Launch(kind, name, 0 if in_graph else looks, in_graph, loop)
            yield from launches(inside.get("condition", []), turns_of, looks, in_graph, name)
            yield from launches(inside.get("body", []), turns_of, times * turns.number, in_graph, name)
        elif kind == BRANCH:
            yield Launch(kind, name, 0 if in_graph else times, in_graph, loop)
            ways = [list(launches(way, turns_of, times, in_graph, loop)) for way in inside.values()]
            yield from max(ways, key=_kernels, default=[])
        elif inside:
            if kind == GRAPH:
                yield Launch(kind, name, times, in_graph, loop)
            yield from launches(inside[""], turns_of, times, in_graph or kind == GRAPH, loop)
        else:
            yield Launch(kind, name, times, in_graph, loop)


def _kernels(launches: Sequence[Launch]) -> int:
    """Number of launches that are no copies."""
    return sum(launch.times for launch in launches if launch.kind != "kCopy")
