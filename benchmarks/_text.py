"""The text of a compiled program: types, operands, scopes and places in the source, and bytes that a GPU moves."""

import math
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

_ARRAY = re.compile(r"\b(pred|[subf]\w*?(\d+)\w*)\[([\d,]*)\]")
_LINE = re.compile(r"^\s*(ROOT )?%?([\w.\-]+) = (.*?) ([a-z][a-z0-9\-]*)\((.*)$")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{$")
_SLICES = ("dynamic-slice", "slice", "gather")
"""Instructions that read a part of their first operand."""
_UPDATES = ("dynamic-update-slice", "scatter")
"""Instructions that, fused, write a part of their first operand in place."""


class Typed(NamedTuple):
    """An instruction of the text."""

    opcode: str
    type: str
    operands: list[str]
    rest: str
    """What follows the opening parenthesis: operands, attributes and metadata."""


@dataclass(frozen=True)
class Text:
    """A compiled program, as it is written."""

    instructions: dict[str, Typed] = field(default_factory=lambda: {"": Typed("", "", [], "")})
    """By name; the empty name is for what the text does not name."""
    members: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Instructions of each computation, in their order."""
    roots: dict[str, str] = field(default_factory=dict)
    """The instruction that is a computation's result."""
    frames: dict[int, str] = field(default_factory=dict)
    """Place in the source by the number of a stack frame."""

    def fused(self, name: str) -> str:
        """The computation that a fusion is; empty for any other instruction."""
        called = re.search(r"calls=%?([\w.\-]+)", self.instructions[name].rest)
        return called[1] if called else ""

    def opcodes(self, name: str) -> set[str]:
        """What an instruction computes; for a fusion, what those within it compute."""
        return {self.instructions[each].opcode for each in (name, *self.members[self.fused(name)])}

    def place(self, name: str) -> str:
        """`FILE:FUNCTION` in `lad_jax` that an instruction comes from; for a fusion without one its last one's."""
        for each in (name, *reversed(self.members[self.fused(name)])):
            frame = re.search(r"stack_frame_id=(\d+)", self.instructions[each].rest)
            if frame and self.frames.get(int(frame[1])):
                return self.frames[int(frame[1])]
        return ""

    def known_turns(self, name: str) -> int | None:
        """The number of turns of a loop, if the compiler knows it."""
        found = re.search(r'"known_trip_count":\{"n":"(\d+)"\}', self.instructions[name].rest)
        return int(found[1]) if found else None

    def size(self, name: str) -> int:
        """Size of an instruction's result [bytes]."""
        return size(self.instructions[name].type)

    def moved(self, name: str) -> int:
        """Bytes that an instruction reads and writes; of slices, and of updates in place, those that it touches."""
        opcode, _, operands, _ = self.instructions[name]
        if opcode == "fusion":
            fused = self.fused(name)
            return self._read(self.members[fused]) + self._written(self.roots[fused])
        if opcode in ("copy", "copy-start"):
            return 2 * self.size(name)
        return sum(self.size(operand) for operand in operands if operand in self.instructions) + self.size(name)

    def _read(self, members: list[str]) -> int:
        users = defaultdict(list)
        for member in members:
            for operand in self.instructions[member].operands:
                users[operand].append(member)

        def touched(name: str) -> int:
            """Bytes of an array that its users read; none of a part that one of them writes."""
            read = 0
            for user in users[name]:
                opcode, _, operands, _ = self.instructions[user]
                if opcode == "bitcast":
                    read += touched(user)
                elif opcode in _SLICES:
                    read += self.size(user)
                elif opcode not in _UPDATES or operands[0] != name:
                    read += self.size(name)
            return min(read, self.size(name))

        return sum(touched(name) for name in members if self.instructions[name].opcode == "parameter")

    def _written(self, root: str) -> int:
        def result(name: str) -> int:
            opcode, _, operands, _ = self.instructions[name]
            if opcode == "bitcast":
                return result(operands[0])
            if opcode == "dynamic-update-slice":
                return 2 * self.size(operands[1])
            if opcode == "scatter":
                return 2 * sum(self.size(operand) for operand in operands[1 + (len(operands) - 1) // 2 :])
            return self.size(name)

        opcode, _, operands, _ = self.instructions[root]
        return sum(map(result, operands if opcode == "tuple" else [root]))


def size(of_type: str) -> int:
    """Size of all arrays of a type [bytes]."""
    return sum(
        math.prod(shape(dimensions)) * math.ceil(int(bits or 8) / 8) for _, bits, dimensions in _ARRAY.findall(of_type)
    )


def shape(dimensions: str) -> list[int]:
    """Numbers of a list such as `16,8,4`."""
    return [int(n) for n in dimensions.split(",") if n]


def arrays(of_type: str) -> list[tuple[str, list[int]]]:
    """Element type and shape of each array of a type."""
    return [(element, shape(dimensions)) for element, _, dimensions in _ARRAY.findall(of_type)]


def read_text(text: str) -> Text:
    """Read the text of a compiled program."""
    program = Text(frames=_frames(text))
    computation = ""
    for line in text.splitlines():
        if header := _COMPUTATION.match(line):
            computation = header[1]
        elif match := _LINE.match(line):
            root, name, of_type, opcode, rest = match.groups()
            operands = re.findall(r"%([\w.\-]+)", rest.split("metadata=")[0].split("), ")[0])
            program.instructions[name] = Typed(opcode, of_type, operands, rest)
            program.members[computation].append(name)
            if root:
                program.roots[computation] = name
    return program


def _frames(text: str) -> dict[int, str]:
    """`FILE:FUNCTION` of each stack frame's innermost place in `lad_jax`."""
    files = {int(n): path for n, path in re.findall(r'^(\d+) "(/[^"]*|<[^"]*)"$', text, re.MULTILINE)}
    functions = _section(text, "FunctionNames", r'^(\d+) "(.*)"$')
    locations = _section(text, "FileLocations", r"^(\d+) \{(.*)\}$")
    frames = _section(text, "StackFrames", r"^(\d+) \{(.*)\}$")

    def number(of: str, key: str) -> int:
        found = re.search(rf"{key}=(\d+)", of)
        return int(found[1]) if found else 0

    def place(frame: int) -> str:
        location = locations[number(frames[frame], "file_location_id")]
        path = files.get(number(location, "file_name_id"), "")
        if "/lad_jax/" in path:
            function = functions[number(location, "function_name_id")].replace(".<locals>", "").replace(".<lambda>", "")
            return f"{path.rpartition('/lad_jax/')[2]}:{function}"
        parent = number(frames[frame], "parent_frame_id") - 1
        return place(parent) if 0 < parent < frame else ""

    return {frame: place(frame) for frame in frames}


def _section(text: str, title: str, line: str) -> dict[int, str]:
    """Numbered lines under a title."""
    block = re.search(rf"^{title}\n((?:\d+ .*\n)*)", text, re.MULTILINE)
    return {int(n): rest for n, rest in re.findall(line, block[1] if block else "", re.MULTILINE)}
