"""Figures of a program by an H100's compiler, and their tables: what it launches, moves and asks of the host."""

import math
import time
from typing import Any

from benchmarks import _memory
from benchmarks._counts import COLUMNS, count
from benchmarks._h100 import compile_program, mesh
from benchmarks._launches import LOOP, Launch, Turns, launches, read
from benchmarks._measure import print_table
from benchmarks._programs import Case, lower
from benchmarks._scopes import scopes_of
from benchmarks._text import Text, read_text
from benchmarks._time_model import h200_ms
from benchmarks._tpu import GIB, memory
from lad_jax import mixture

NETWORKS = ("student", "teacher", "peer_1", "peer_2", "Detector")
"""Scopes of the networks: a training step's names, and the module that a detector applies."""
TURNS = {
    "mixture.py:_fit": math.ceil(20 / mixture.AT_ONCE),
    "evaluation/nms.py:nms": 2,
    "evaluation/nms.py:_unsuppressed": 2,
}
"""Turns that are assumed of loops that end when a value says so, by place: 20 iterations of a mixture, two blocks of
pairs that NMS visits, of which each settles in two turns. Of any other loop one turn, as `benchmarks.assign` finds for
the matching's."""
SHOWN = 20
"""Number of groups of alike launches that a table shows; JSON has all."""


def measure(case: Case) -> dict[str, Any]:
    """Counts, amounts, loops and memory of a compiled program."""
    lowered, since = lower(case, mesh()), time.perf_counter()
    compiled = compile_program(lowered)
    return {
        "compile_s": time.perf_counter() - since,
        **figures(compiled.text, compiled.sequence, compiled.names),
        "memory_gib": memory(compiled.program),
        "peak_gib": compiled.program.memory_analysis().peak_memory_in_bytes / GIB,
    }


def figures(text: str, sequence: str, names: str) -> dict[str, Any]:
    """Counts, amounts and loops of a program by what its compiler wrote.

    Args:
      text: the optimised program.
      sequence: its launches, as `_launches.read` takes them.
      names: the instructions behind them.
    """
    program = read_text(text)
    found = list(launches(read(sequence, names), lambda loop: turns(program, loop)))
    loops = {launch.instruction for launch in found if launch.kind == LOOP}
    of_loops = [_loop(program, found, loop) for loop in sorted(loops)]
    return count(program, scopes_of(program), found, NETWORKS) | {"loops": of_loops}


def turns(program: Text, loop: str) -> Turns:
    """Turns of a loop: the compiler's number, else the one that is assumed."""
    known = program.known_turns(loop)
    return Turns(TURNS.get(program.place(loop), 1), known=False) if known is None else Turns(known, known=True)


def _loop(program: Text, found: list[Launch], name: str) -> dict[str, Any]:
    number, known = turns(program, name)
    of_it = [launch for launch in found if launch.instruction == name]
    return {
        "loop": name,
        "place": program.place(name),
        "turns": number,
        "known": known,
        "in a graph": any(launch.in_graph for launch in of_it),
        "asked": sum(launch.times for launch in of_it),
    }


def print_tables(measured: list[tuple[Case, dict[str, Any]]]) -> None:
    """Print a table of all programs, of the pictures that cards hold, and of each program's parts and launches."""
    print_table([_summary(case, found) for case, found in measured])
    if of_cards := _memory.rows(measured):
        print_table(of_cards)
    for case, found in measured:
        print(f"**{_title(case)}**\n")
        parts = [{"part": part, **of_part} for part, of_part in found["parts"].items()]
        for rows in (parts, found["convolution kinds"], found["loops"], found["groups"][:SHOWN]):
            if rows:
                print_table(rows)


def _title(case: Case) -> str:
    """A program's name and sizes."""
    kind = {"step": "training step", "detector": "detector", "assignment": "assignment alone"}[case.program]
    objects = "" if case.program == "detector" else f", {case.objects} objects"
    pictures = f"{case.pictures} pictures" if case.pictures > 1 else "1 picture"
    remat = "" if case.remat == "none" else f", remat {case.remat}"
    return f"{case.name}, {kind}, {pictures}{objects}{remat}{', ' if case.xla_flags else ''}{case.xla_flags}"


def _summary(case: Case, found: dict[str, Any]) -> dict[str, Any]:
    sizes = found["memory_gib"]
    # What an H200 is said to take comes of a whole step, and says nothing of an assignment alone.
    whole = case.program != "assignment"
    h200 = h200_ms(found["convolution ms"], found["ms"], found["launches"]) if whole else None
    return {
        "program": _title(case),
        **{column: found[column] for column in COLUMNS},
        **{column: found[column] for column in ("GB", "TFLOP")},
        "arguments GiB": sizes["arguments"],
        "temporary GiB": sizes["temporaries"],
        "peak GiB": found["peak_gib"],
        "convolution ms (model)": found["convolution ms"],
        "ms (model)": found["ms"],
        "ms on an H200 (model)": h200,
        "pictures/s on an H200 (model)": 1e3 * case.pictures / h200 if h200 else None,
        "compile s": found["compile_s"],
    }
