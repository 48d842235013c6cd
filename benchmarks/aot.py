"""Figures of programs by the compilers of TPUs and of an H100, on a machine that has neither.

    pip install 'lad-jax[tpu]'
    python -m benchmarks.aot --json=runs/aot.json
    python -m benchmarks.aot --configs=configs/paper.py:paa_r50_1x --topology=v5e:4x4 --pictures=4 --remat=none

    pip install 'lad-jax[cuda]'
    python -m benchmarks.aot --topology=h100 --json=runs/aot.json
    python -m benchmarks.aot --topology=h100 --programs=detector,assignment --objects=96
    python -m benchmarks.aot --topology=h100 --pictures=8,32 --remat=none,all --objects=96
    python -m benchmarks.aot --topology=h100 --xla_flags=--xla_gpu_enable_command_buffer=+WHILE,+CONDITIONAL

Nothing is run: parameters and pictures are shapes. A compilation takes minutes, and those in the file are not repeated.

For a TPU: memory, operations and collectives of training steps. The first command finds the largest number of pictures
that fits a chip, for each config, topology and `remat`; the second compiles one program. What the compiler refuses for
another reason than memory ends the program with its message. Memory is the compiler's account, of one chip. Collectives
in a loop are counted for one turn.

For an H100: what a program launches, moves, and asks of the host, by part; loops are counted with their turns, which
are assumed where a value ends them. For several numbers of pictures also how many the memory of usual cards holds.
Counts, bytes and memory are the compiler's, without the workspaces of cuDNN. A convolution counts as one launch.
Milliseconds are an estimate by a model (`_time_model`), not measured.
"""

import itertools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import jax
from absl import app, flags

from benchmarks import _gpu, _tpu
from benchmarks._programs import REMAT, Case
from lad_jax.assign import ASSIGNERS

FLAGS = flags.FLAGS
CONFIGS = ["configs/paper.py:paa_r50_1x", "configs/paper.py:lad_r50_r101_1x", "configs/paper.py:colad_r50_r101_1x"]
H100 = "h100"
PICTURES = {"step": (16,), "detector": (1, 16), "assignment": (16,)}
"""Pictures on an H100, by program."""

flags.DEFINE_list("topology", ["v5e:4x4", "v5p:2x2x4"], "h100; or TPUs and how they are joined, in libtpu's names.")
flags.DEFINE_list("programs", ["step"], "step, detector, assignment; on TPUs the step alone.")
flags.DEFINE_list("configs", CONFIGS, "Config files, as --config of main.py takes them, for steps and detectors.")
flags.DEFINE_list("assigners", list(ASSIGNERS), "Assigners for assignments.")
flags.DEFINE_list("remat", [], "What is computed again in the backward pass; by default all on TPUs, none on an H100.")
flags.DEFINE_list(
    "pictures", [], "Pictures a chip; by default the most that fit a TPU, 16 on an H100, 1 and 16 detected."
)
flags.DEFINE_list("objects", [], "Objects a picture, padded; by default 96 on TPUs, 8 and 96 on an H100.")
flags.DEFINE_integer("height", 800, "Canvas height, a multiple of 32.")
flags.DEFINE_integer("width", 1344, "Canvas width, a multiple of 32.")
flags.DEFINE_integer("classes", 80, "Classes.")
flags.DEFINE_enum("dtype", "bfloat16", ["float32", "bfloat16"], "In which the convolutions compute.")
flags.DEFINE_string("xla_flags", "", "Flags of XLA to compile with, to compare forms.")
flags.DEFINE_string("json", "", "File that keeps the figures: one for each state of the code.")

TOPOLOGIES = (H100, *(f"{chip}:..." for chip in _tpu.HBM))
for name, known in {"programs": PICTURES, "assigners": ASSIGNERS, "remat": REMAT}.items():
    flags.register_validator(name, set(known).issuperset, f"known are {', '.join(known)}")
for name in ("pictures", "objects"):
    flags.register_validator(name, lambda given: all(n.isdigit() for n in given), "whole numbers")


@flags.validator("topology", f"known are {', '.join(TOPOLOGIES)}")
def _is_known(given: list[str]) -> bool:
    return all(topology == H100 or topology.split(":")[0] in _tpu.HBM for topology in given)


@flags.multi_flags_validator(["topology", "programs"], "on TPUs only --programs=step")
def _are_compiled(given: dict[str, list[str]]) -> bool:
    return given["programs"] == ["step"] or set(given["topology"]) == {H100}


class Known:
    """Figures of cases that were measured by this version of jax, kept in a file if one is named."""

    def __init__(self, path: str) -> None:
        self.file = Path(path) if path else None
        self.rows: list[dict[str, Any]] = json.loads(self.file.read_text()) if path and self.file.exists() else []

    def figures(self, case: Case, measure: Callable[[Case], dict[str, Any]]) -> dict[str, Any]:
        """Figures of a case: the kept ones, else measured ones, which are kept."""
        for row in self.rows:
            if (row["jax"], row["case"]) == (jax.__version__, asdict(case)):
                return row["figures"]
        self.rows.append({"jax": jax.__version__, "case": asdict(case), "figures": measure(case)})
        if self.file:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(json.dumps(self.rows, indent=1))
        return self.rows[-1]["figures"]


def main(_: list[str]) -> None:
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {FLAGS.xla_flags}".strip()
    jax.config.update("jax_platforms", "cpu")  # no device of this machine is needed
    jax.config.update("jax_enable_compilation_cache", False)  # it cannot give back a program for another machine
    known = Known(FLAGS.json)
    print(f"{FLAGS.height}x{FLAGS.width}, {FLAGS.dtype}, jax {jax.__version__}\n")
    tpus = [topology for topology in FLAGS.topology if topology != H100]
    if tpus:
        print_tpu_table(tpus, known)
    if H100 in FLAGS.topology:
        _gpu.print_tables([(case, known.figures(case, _gpu.measure)) for case in gpu_cases()])


def print_tpu_table(topologies: list[str], known: Known) -> None:
    """Print a row for each config, topology and `remat`, at the given numbers of pictures or the largest that fits."""
    print("|".join(["", *_tpu.COLUMNS, ""]) + "\n" + "|".join(["", *["---"] * len(_tpu.COLUMNS), ""]))
    for config, topology, remat, objects in itertools.product(
        FLAGS.configs, topologies, FLAGS.remat or REMAT, FLAGS.objects or [96]
    ):
        of = partial(Case, "step", config, topology, remat, **_sizes(int(objects)))
        chip, trials = topology.split(":")[0], [int(n) for n in FLAGS.pictures]
        if not trials:
            start, limit = _tpu.START[chip], _tpu.HBM[chip]
            trials = [_tpu.largest(lambda n, of=of: known.figures(of(pictures=n), _tpu.measure), start, limit)]
        for n in trials:
            figures = known.figures(of(pictures=n), _tpu.measure) if n else {}
            print(_tpu.row(of(pictures=n), figures), flush=True)


def gpu_cases() -> Iterator[Case]:
    """The programs to compile for an H100."""
    numbers = [int(n) for n in FLAGS.objects or (8, 96)]
    for program in FLAGS.programs:
        names = FLAGS.assigners if program == "assignment" else FLAGS.configs
        remats = ["none"] if program == "assignment" else FLAGS.remat or ["none"]
        pictures = [int(n) for n in FLAGS.pictures or PICTURES[program]]
        objects = [0] if program == "detector" else numbers
        for name, remat, n, g in itertools.product(names, remats, pictures, objects):
            yield Case(program, name, H100, remat, n, **_sizes(g))


def _sizes(objects: int) -> dict[str, Any]:
    """The fields of a case that flags give."""
    given = {name: FLAGS[name].value for name in ("height", "width", "classes", "dtype", "xla_flags")}
    return {**given, "objects": objects}


if __name__ == "__main__":
    app.run(main)
