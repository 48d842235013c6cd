"""Speed of a training step, and where its time goes, on random pictures and random weights.

    python -m benchmarks.step --config=configs/base.py --height=256 --width=256 --batch=2
    python -m benchmarks.step --config=configs/paper.py:colad_r50_r101_1x --height=800 --width=1344 --batch=16 \
        --config.dtype=bfloat16

The step, its bare networks (the trained ones forward and backward, the frozen ones forward) and, where torchvision is
installed, its detectors take turns. Then the step is profiled, and its time divided among its parts.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from absl import app, flags
from ml_collections import config_flags

from benchmarks import _beside
from benchmarks._convolutions import convolution_operations
from benchmarks._inputs import random_batch
from benchmarks._measure import Times, in_turns, machine, matrix_peak, memory_mb, print_table, ratio, write_json
from benchmarks._parts import GROUPS, part_of
from benchmarks._profile import profile
from lad_jax import RunOptions, from_config
from lad_jax.distill import Method
from lad_jax.mesh import MeshOptions, make_mesh
from lad_jax.models import Detector
from lad_jax.run.build import make_models, make_train_step
from lad_jax.train.state import TrainState, init_state, init_variables, params_of, with_params
from lad_jax.types import Batch, Network

BARE = "bare networks"

FLAGS = flags.FLAGS
config_flags.DEFINE_config_file("config", "configs/base.py", "Config to time.")
flags.DEFINE_integer("height", 256, "Canvas height, a multiple of 32.")
flags.DEFINE_integer("width", 256, "Canvas width, a multiple of 32.")
flags.DEFINE_integer("batch", 2, "Pictures a step.")
flags.DEFINE_integer("objects", 7, "Objects a picture.")
flags.DEFINE_integer("classes", 80, "Classes.")
flags.DEFINE_integer("runs", 9, "Timed runs; the median is shown.")
flags.DEFINE_integer("profiled", 3, "Profiled runs; 0: no profile.")
flags.DEFINE_string("keep", "", "Folder to keep the profile and the compiled program in.")
flags.DEFINE_list("beside", [BARE, *_beside.DETECTORS], "What to time in turns with the step.")
flags.DEFINE_string("json", "", "File to write the figures to.")


class Compiled(NamedTuple):
    """A compiled program."""

    program: Any
    seconds: float
    """What compiling took."""
    counted: str
    """What of it operations are counted of."""
    operations: float
    """Floating point operations of one run."""


def compile_program(function: Any, *args: Any, **options: Any) -> Compiled:
    """Compile a function for arguments like `args`; `options` are those of `jax.jit`."""
    lowered = jax.jit(function, **options).lower(*args)
    since = time.perf_counter()
    program = lowered.compile()
    seconds = time.perf_counter() - since
    # Counted before XLA puts in calls of libraries, whose operations it does not know. Backends that are plugins, as a
    # GPU's, do not count.
    if counted := lowered.cost_analysis():
        return Compiled(program, seconds, "all operations", counted["flops"])
    return Compiled(program, seconds, "convolutions", convolution_operations(program.as_text()))


class Stepper:
    """The compiled step, which runs on the state that the last run has left."""

    def __init__(self, program: Any, state: TrainState, *args: Any) -> None:
        self.program, self.state, self.args = program, state, args

    def __call__(self) -> None:
        self.state, output = self.program(self.state, *self.args)
        jax.block_until_ready((self.state, output))


def profiled_rows(step: Stepper, networks: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows of the table of milliseconds by part of the step, and by group of parts."""
    seen = profile(step.program, step, FLAGS.profiled, Path(FLAGS.keep) if FLAGS.keep else None)
    parts: Counter[str] = Counter()
    for scope, seconds in seen.by_scope.items():
        parts[part_of(scope, networks)] += seconds
    parts["nothing runs"] = seen.idle
    sums = {title: sum(s for part, s in parts.items() if belongs(part)) for title, belongs in GROUPS.items()}
    return [
        {"part": part, "ms": 1e3 * seconds, "% of the step": 100 * seconds / seen.wall}
        for part, seconds in [*sorted(parts.items()), *sums.items(), ("the step, profiled", seen.wall)]
    ]


def bare_networks(models: Mapping[Network, Detector], method: Method) -> Callable[..., Any]:
    """A function that applies a method's networks as its training does: the trained ones forward and backward."""

    def bare(params: dict[Network, Any], variables: dict[Network, Any], batch: Batch) -> Any:
        inputs = batch.pictures.images, batch.pictures.image_hw

        def mean(params: dict[Network, Any]) -> Any:
            changed = with_params({name: variables[name] for name in params}, params)
            outputs = {name: models[name].apply(v, *inputs) for name, v in changed.items()}
            return sum(jnp.mean(x) for x in jax.tree.leaves(outputs))

        targets = {name: models[name].apply(variables[name], *inputs) for name in method.frozen}
        return jax.grad(mean)(params), targets

    return bare


def figures_of(compiled: Compiled, times: Mapping[str, Times], *, accumulated: bool) -> dict[str, Any]:
    """Figures of the step by name; `accumulated`: it loops over parts, and XLA counts the operations of only one."""
    seconds, peak = times["step"].median, matrix_peak()
    tflops = None if accumulated else compiled.operations / seconds / 1e12
    kind, megabytes = memory_mb(compiled.program)
    return {
        "images/s": FLAGS.batch / seconds,
        "ms": 1e3 * seconds,
        f"TFLOP/s of {compiled.counted}": tflops,
        "% of the matrix peak": 100 * tflops / peak if peak and tflops else None,
        f"{kind} [MB]": megabytes,
        "compile [s]": compiled.seconds,
        f"step / {BARE}": ratio(times["step"], times[BARE]) if BARE in times else None,
    }


def main(_: list[str]) -> None:
    options = from_config(RunOptions, FLAGS.config)
    # Sums over the whole batch, whatever the config has: the batch here is as small as is asked for.
    options = replace(options, losses=replace(options.losses, normaliser_pictures=0))
    method = options.roles
    models = make_models(options, FLAGS.classes)
    variables = {name: init_variables(model, seed) for seed, (name, model) in enumerate(models.items())}
    trained = {name: variables[name] for name in method.trained}
    frozen = {name: variables[name] for name in method.frozen}
    mesh = make_mesh(MeshOptions(data=1), {})
    train_step = make_train_step(options, models, steps_per_epoch=1000, mesh=mesh)
    canvas = (FLAGS.height, FLAGS.width)
    pictures = random_batch(canvas, n_images=FLAGS.batch, n_objects=FLAGS.objects, n_classes=FLAGS.classes)
    batch = jax.device_put(pictures)
    # The step takes its state away, so the bare networks get copies.
    constants, params = jax.tree.map(jnp.copy, (variables, params_of(trained))) if BARE in FLAGS.beside else ({}, {})
    state = init_state(trained, train_step.optimizer, seed=options.seed, ema=options.optimizer.ema_decay > 0)
    compiled = compile_program(train_step.step, state, frozen, batch, donate_argnums=0)
    step = Stepper(compiled.program, state, frozen, batch)
    programs: dict[str, Callable[[], Any]] = {"step": step}
    if BARE in FLAGS.beside:
        networks = compile_program(bare_networks(models, method), params, constants, batch).program
        programs[BARE] = lambda: jax.block_until_ready(networks(params, constants, batch))
    detectors = [name for name in FLAGS.beside if name != BARE]
    beside = _beside.training(detectors, pictures, n_classes=FLAGS.classes, dtype=options.dtype)
    times = in_turns(programs | beside, FLAGS.runs)

    figures = figures_of(compiled, times, accumulated=options.train.accumulate > 1)
    figures |= {f"images/s, {name} (torchvision)": FLAGS.batch / times[name].median for name in beside}
    figures |= {f"{name} / step, time": ratio(times[name], times["step"]) for name in beside}
    title = f"{options.method}, {FLAGS.batch} x {FLAGS.height}x{FLAGS.width}, {options.dtype}, {machine()}"
    print(f"{title}\n")
    print_table([{"": name, "whole step": value} for name, value in figures.items()])
    parts = profiled_rows(step, method.networks) if FLAGS.profiled else []
    if parts:
        print_table(parts)
    write_json(FLAGS.json, {"title": title, "figures": figures, "parts": parts, "seconds": times})


if __name__ == "__main__":
    app.run(main)
