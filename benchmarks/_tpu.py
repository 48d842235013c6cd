"""Figures of a program by a TPU's compiler, and the largest number of pictures that fits a chip."""

import math
import os
import re
import time
from collections.abc import Callable
from typing import Any

import jax
from jax.experimental import topologies
from jax.sharding import Mesh

from benchmarks._hlo import collectives
from benchmarks._programs import Case, lower
from lad_jax.mesh import DATA

# A compiler shares nothing with another, so several may be loaded at once.
os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")

GIB = 2**30
HBM = {"v5e": 15.75, "v5p": 95.74}
"""Memory that programs may use on a chip, as its compiler says [GiB]."""
START = {"v5e": 4, "v5p": 16}
"""Number of pictures on a chip that a search starts with."""
COLUMNS = ("config", "topology", "remat", "pictures", "GiB", "of them temporary", "peak GiB")
COLUMNS += ("TFLOP", "collectives", "recomputed by the compiler", "compile s")


def mesh_of(case: Case) -> Mesh:
    """A mesh of the topology's chips, none of which is there."""
    topology = topologies.get_topology_desc(platform="tpu", topology_name=case.topology)
    return topologies.make_mesh(topology, (len(topology.devices),), (DATA,))


def measure(case: Case) -> dict[str, Any]:
    """Figures of a compiled program on one chip; or that it does not fit, in the compiler's words."""
    lowered, since = lower(case, mesh_of(case)), time.perf_counter()
    try:
        program = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return {"compile_s": time.perf_counter() - since, "refused": str(error)[:500]}
    compile_s, text = time.perf_counter() - since, program.as_text()
    return {
        "compile_s": compile_s,
        "memory_gib": memory(program),
        "peak_gib": program.memory_analysis().peak_memory_in_bytes / GIB,
        "tflop": program.cost_analysis()["flops"] / 1e12,
        "recomputed_by_compiler": len(re.findall(r"^\s*%\S*\.remat\S* = ", text, re.MULTILINE)),
        "collectives": collectives(text),
    }


def memory(program: Any) -> dict[str, float]:
    """Memory of a compiled program by the compiler's account [GiB]."""
    sizes = program.memory_analysis()
    return {
        "arguments": sizes.argument_size_in_bytes / GIB,
        "new outputs": (sizes.output_size_in_bytes - sizes.alias_size_in_bytes) / GIB,
        "temporaries": sizes.temp_size_in_bytes / GIB,
        "code": sizes.generated_code_size_in_bytes / GIB,
    }


def needed(figures: dict[str, Any]) -> float:
    """Memory of a program [GiB]."""
    return sum(figures["memory_gib"].values())


def largest(figures_of: Callable[[int], dict[str, Any]], start: int, limit: float) -> int:
    """The largest number of pictures whose program fits; the next is refused, or would need too much memory.

    Memory is nearly linear in the number of pictures, so each trial is where the line through those that fit reaches
    the limit; without pictures it is the state's.

    Args:
      figures_of: figures by the number of pictures; see `measure`.
      start: first trial.
      limit: memory of a chip [GiB].
    """
    fits: dict[int, float] = {}
    too_many, trial = math.inf, start
    while trial and trial not in fits:
        figures = figures_of(trial)
        if "refused" in figures or needed(figures) > limit:
            too_many = trial
        else:
            fits |= {0: figures["memory_gib"]["arguments"], trial: needed(figures)}
        trial = int(min(too_many - 1, _end_of_line(fits, limit) if fits else trial // 2))
    return trial


def _end_of_line(fits: dict[int, float], limit: float) -> int:
    """Number of pictures at which the line through the two largest points reaches `limit`."""
    (n, high), (m, low) = sorted(fits.items(), reverse=True)[:2]
    return max(n, int(n + (limit - high) * (n - m) / (high - low)))


def row(case: Case, figures: dict[str, Any]) -> str:
    """A row of the table with `COLUMNS`."""
    cells = [case.name, case.topology, case.remat, str(case.pictures)]
    if "refused" in figures:
        cells.append(f"refused: {figures['refused'][:200]}")
    elif figures:
        kinds = [f"{x['count']} {kind} {x['bytes'] / 1e6:.1f} MB" for kind, x in figures["collectives"].items()]
        cells += [f"{x:.2f}" for x in (needed(figures), figures["memory_gib"]["temporaries"], figures["peak_gib"])]
        cells += [f"{figures['tflop']:.2f}", ", ".join(kinds), str(figures["recomputed_by_compiler"])]
        cells.append(f"{figures['compile_s']:.0f}")
    return f"| {' | '.join(cells)} |"
