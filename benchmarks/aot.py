"""Figures of a training step by a TPU's compiler, on a machine without a TPU: memory, operations, collectives.

    pip install 'lad-jax[tpu]'
    python -m benchmarks.aot --json=runs/aot.json
    python -m benchmarks.aot --configs=configs/paper.py:paa_r50_1x --topologies=v5e:4x4 --pictures=4 --remat=none

The first finds the largest number of pictures that fits a chip, for each config, topology and `remat`; a compilation
takes minutes, and those in the file are not repeated. The second compiles one program. Nothing is run: parameters and
pictures are shapes. What the compiler refuses for another reason than memory ends the program with its message.

Memory is the compiler's account, of one chip. Collectives in a loop are counted for one turn.
"""

import itertools
import json
import math
import os
import re
import runpy
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from absl import app, flags
from jax.experimental import topologies
from jax.sharding import Mesh

from benchmarks._hlo import collectives
from lad_jax import RunOptions, from_config
from lad_jax.mesh import DATA, replicated, sharded
from lad_jax.models import ModelOptions
from lad_jax.options import run_name
from lad_jax.run.build import make_models, make_train_step
from lad_jax.train.state import init_state, init_variables
from lad_jax.types import Batch, GroundTruth, Pictures

# A compiler shares nothing with another, so several may be loaded at once.
os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")

FLAGS = flags.FLAGS
GIB = 2**30
CONFIGS = ["configs/paper.py:paa_r50_1x", "configs/paper.py:lad_r50_r101_1x", "configs/paper.py:colad_r50_r101_1x"]
HBM = {"v5e": 15.75, "v5p": 95.74}
"""Memory that programs may use on a chip, as its compiler says [GiB]."""
REMAT = {"none": (False, False), "towers": (False, True), "all": (True, True)}
"""Values of `backbone.remat` and `remat_towers`, by name."""
START = {"v5e": 4, "v5p": 16}
"""Number of pictures on a chip that a search starts with."""
STEPS_PER_EPOCH = 7330

flags.DEFINE_list("configs", CONFIGS, "Config files, as --config of main.py takes them.")
flags.DEFINE_list("topologies", ["v5e:4x4", "v5p:2x2x4"], "Chips and how they are joined, in libtpu's names.")
flags.DEFINE_list("remat", list(REMAT), "What is computed again in the backward pass.")
flags.DEFINE_list("pictures", [], "Pictures a chip; empty: the largest number that fits is searched for.")
flags.DEFINE_integer("height", 800, "Canvas height, a multiple of 32.")
flags.DEFINE_integer("width", 1344, "Canvas width, a multiple of 32.")
flags.DEFINE_integer("objects", 96, "Objects a picture, padded.")
flags.DEFINE_integer("classes", 80, "Classes.")
flags.DEFINE_enum("dtype", "bfloat16", ["float32", "bfloat16"], "In which the convolutions compute.")
flags.DEFINE_string("json", "", "File that keeps the figures.")


@dataclass(frozen=True)
class Case:
    """A program to compile."""

    config: str
    """Config as `FILE` or `FILE:VARIANT`."""
    topology: str
    remat: str
    """Key of `REMAT`."""
    pictures: int
    """Number of pictures on a chip."""
    height: int
    width: int
    objects: int
    classes: int
    dtype: Literal["float32", "bfloat16"]

    @property
    def chip(self) -> str:
        return self.topology.split(":")[0]


def mesh_of(case: Case) -> Mesh:
    """A mesh of the topology's chips, none of which is there."""
    topology = topologies.get_topology_desc(platform="tpu", topology_name=case.topology)
    return topologies.make_mesh(topology, (len(topology.devices),), (DATA,))


def options_of(case: Case, batch_size: int) -> RunOptions:
    """Options of the config, with the case's batch, dtype and `remat` for every network."""
    path, _, variant = case.config.partition(":")
    options = from_config(RunOptions, runpy.run_path(path)["get_config"](*filter(None, [variant])))

    def change(model: ModelOptions) -> ModelOptions:
        backbone, towers = REMAT[case.remat]
        model = replace(model, dtype=case.dtype, remat_towers=towers)
        return replace(model, backbone=replace(model.backbone, remat=backbone))

    teacher, *peers = (replace(other, model=change(other.model)) for other in options.others.values())
    train = replace(options.train, batch_size=batch_size)
    return replace(options, model=change(options.model), teacher=teacher, peers=tuple(peers), train=train)


def batch_of(case: Case, mesh: Mesh) -> Batch:
    """Shapes and shardings of a batch."""
    n = case.pictures * mesh.size

    def array(dtype: Any, *shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((n, *shape), dtype)

    batch = Batch(
        pictures=Pictures(
            images=array(np.uint8, case.height, case.width, 3), image_hw=array(np.int32, 2), scale=array(np.float32, 2)
        ),
        truth=GroundTruth(
            boxes=array(np.float32, case.objects, 4),
            labels=array(np.int32, case.objects),
            mask=array(bool, case.objects),
            crowd=array(bool, case.objects),
        ),
        position=array(np.int32),
        valid=array(bool),
    )
    return jax.tree.map(lambda x: x.update(sharding=sharded(mesh)), batch)


def lower(case: Case) -> jax.stages.Lowered:
    """Lower the training step of a run, as training jits it."""
    mesh = mesh_of(case)
    batch = batch_of(case, mesh)
    options = options_of(case, len(batch.position))
    roles = options.roles
    models = make_models(options, case.classes)
    train_step = make_train_step(options, models, steps_per_epoch=STEPS_PER_EPOCH, mesh=mesh)

    def start() -> Any:
        variables = {name: init_variables(model, seed=0) for name, model in models.items()}
        state = init_state(
            {name: variables[name] for name in roles.trained},
            train_step.optimizer,
            seed=options.seed,
            ema=options.optimizer.ema_decay > 0,
        )
        return state, {name: variables[name] for name in roles.frozen}

    state, frozen = jax.tree.map(lambda x: x.update(sharding=replicated(mesh)), jax.eval_shape(start))
    return train_step.jitted.lower(state, frozen, batch)


def measure(case: Case) -> dict[str, Any]:
    """Figures of a compiled program on one chip; or that it does not fit, in the compiler's words."""
    lowered, since = lower(case), time.perf_counter()
    try:
        program = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return {"compile_s": time.perf_counter() - since, "refused": str(error)[:500]}
    compile_s = time.perf_counter() - since
    memory, text = program.memory_analysis(), program.as_text()
    parts = {
        "arguments": memory.argument_size_in_bytes / GIB,
        "new outputs": (memory.output_size_in_bytes - memory.alias_size_in_bytes) / GIB,
        "temporaries": memory.temp_size_in_bytes / GIB,
        "code": memory.generated_code_size_in_bytes / GIB,
    }
    return {
        "compile_s": compile_s,
        "memory_gib": parts,
        "peak_gib": memory.peak_memory_in_bytes / GIB,
        "tflop": program.cost_analysis()["flops"] / 1e12,
        "recomputed_by_compiler": len(re.findall(r"^\s*%\S*\.remat\S* = ", text, re.MULTILINE)),
        "collectives": collectives(text),
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


def main(_: list[str]) -> None:
    jax.config.update("jax_platforms", "cpu")  # no device of this machine is needed
    file = Path(FLAGS.json) if FLAGS.json else None
    known: list[dict[str, Any]] = json.loads(file.read_text()) if file and file.exists() else []

    def figures_of(case: Case) -> dict[str, Any]:
        for row in known:
            if row["case"] == asdict(case):
                return row["figures"]
        known.append({"case": asdict(case), "figures": measure(case)})
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(known, indent=1))
        return known[-1]["figures"]

    print(f"{FLAGS.height}x{FLAGS.width}, {FLAGS.dtype}, jax {jax.__version__}\n")
    columns = ["config", "topology", "remat", "pictures", "GiB", "of them temporary", "peak GiB"]
    columns += ["TFLOP", "collectives", "recomputed by the compiler", "compile s"]
    print("|".join(["", *columns, ""]) + "\n" + "|".join(["", *["---"] * len(columns), ""]))
    for config, topology, remat in itertools.product(FLAGS.configs, FLAGS.topologies, FLAGS.remat):
        sizes = {name: FLAGS[name].value for name in ("height", "width", "objects", "classes", "dtype")}
        of = partial(Case, config, topology, remat, **sizes)
        chip, trials = of(0).chip, [int(n) for n in FLAGS.pictures]
        if not trials:
            trials = [largest(lambda n, of=of: figures_of(of(n)), START[chip], HBM[chip])]
        for n in trials:
            print(_row(of(n), figures_of(of(n)) if n else {}), flush=True)


def _row(case: Case, figures: dict[str, Any]) -> str:
    cells = [run_name(case.config), case.topology, case.remat, str(case.pictures)]
    if "refused" in figures:
        cells.append(f"refused: {figures['refused'][:200]}")
    elif figures:
        kinds = [f"{x['count']} {kind} {x['bytes'] / 1e6:.1f} MB" for kind, x in figures["collectives"].items()]
        cells += [f"{x:.2f}" for x in (needed(figures), figures["memory_gib"]["temporaries"], figures["peak_gib"])]
        cells += [f"{figures['tflop']:.2f}", ", ".join(kinds), str(figures["recomputed_by_compiler"])]
        cells.append(f"{figures['compile_s']:.0f}")
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    app.run(main)
