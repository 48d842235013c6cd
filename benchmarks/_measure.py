"""Timing in turns, tables and facts about the device, for all benchmarks."""

import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

MATRIX_PEAK = {  # of dense bfloat16 products, by the makers' data sheets [TFLOP/s]; the first that fits counts
    "NVIDIA A100": 312.0,
    "NVIDIA H100 PCIe": 756.0,
    "NVIDIA H100": 989.0,
    "NVIDIA H200": 989.0,
    "TPU v5 lite": 197.0,
    "TPU v5": 459.0,  # v5p
}

WARM_UP = 3
"""Number of runs that are not counted: there the system allocates and clears memory, for up to a third of a step."""


class Times(list[float]):
    """Seconds of each run of one program."""

    @property
    def median(self) -> float:
        return statistics.median(self)


def in_turns(programs: Mapping[str, Callable[[], Any]], runs: int) -> dict[str, Times]:
    """Time each program `runs` times, after a few runs that are not counted.

    They take turns, so whatever else the machine does meanwhile falls on all of them.
    """
    times = {name: Times() for name in programs}
    for turn in range(WARM_UP + runs):
        for name, run in programs.items():
            since = time.perf_counter()
            run()
            if turn >= WARM_UP:
                times[name].append(time.perf_counter() - since)
    return times


def median_ms(function: Callable[..., Any], *arguments: Any, runs: int) -> float:
    """Median time of a call and of what it computes [ms], after a few that are not counted."""
    return 1e3 * in_turns({"": lambda: jax.block_until_ready(function(*arguments))}, runs)[""].median


def ratio(one: Times, other: Times) -> float:
    """Median of the ratios of the runs of one turn: robust where the machine is busy with other things."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


def matrix_peak() -> float | None:
    """Peak rate of matrix products of the first device [TFLOP/s]; None where it is not known."""
    kind = jax.devices()[0].device_kind
    return next((peak for name, peak in MATRIX_PEAK.items() if kind.startswith(name)), None)


def memory_mb(program: Any) -> tuple[str, float]:
    """Name of a figure of memory, and the megabytes: the device's peak, else the compiler's account."""
    measured = jax.devices()[0].memory_stats()
    if measured:
        return "peak memory of the device", measured["peak_bytes_in_use"] / 1e6
    laid_out = program.memory_analysis()
    size = laid_out.argument_size_in_bytes + laid_out.output_size_in_bytes + laid_out.temp_size_in_bytes
    return "memory of the compiled step", (size - laid_out.alias_size_in_bytes) / 1e6


def machine() -> str:
    return f"{jax.devices()[0].device_kind}, {len(os.sched_getaffinity(0))} CPU cores, jax {jax.__version__}"


def cell(value: Any) -> str:
    """Text of a table's cell: three significant digits or whole numbers, and a dash for None."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows with the same keys as a table in Markdown."""
    columns = list(rows[0])
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(map(cell, row.values())) + " |")
    print(flush=True)


def write_json(path: str, content: Any) -> None:
    """Write a JSON file; none where `path` is empty."""
    if path:
        Path(path).write_text(json.dumps(content, indent=2) + "\n")
