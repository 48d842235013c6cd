"""A look at a run before it is paid for: what it would train on, how long, in how much memory, and what it would write.

Its programs are compiled, a few steps and batches of the evaluation are done and timed, and nothing of them is kept.
"""

import contextlib
import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import jax
import numpy as np

from lad_jax.data import started, train_batches
from lad_jax.errors import InputError, first_few
from lad_jax.mesh import split_batch
from lad_jax.options import RunOptions
from lad_jax.programs import compiling
from lad_jax.run.prepare import Run, check_options, mesh_of, prepare
from lad_jax.run.recover import open_manager
from lad_jax.train.state import TrainState, evaluated_variables

WARM, TIMED = 2, 6
"""Steps before any is timed, and those that are. As many batches of the evaluation are timed."""
Line = tuple[str, str]
"""What a line of the plan is about, and its text."""


@dataclass(frozen=True)
class Seconds:
    """Times that were measured [seconds]."""

    compilation: float
    step: float
    evaluation: float
    """Of all pictures by all networks that are evaluated, without COCO's numbers."""


def preview(options: RunOptions, workdir: Path) -> None:
    """Print what a new run would do, take and write; its workdir is neither read nor written.

    Raises:
      InputError: anything of options, data and weights for which the run would not start; or several processes.
    """
    if jax.process_count() > 1:
        raise InputError(f"a plan is made by one process, but there are {jax.process_count()}: start it alone.")
    check_options(options, workdir)
    with tempfile.TemporaryDirectory() as scratch, open_manager(Path(scratch)) as manager:
        run, state = prepare(options, Path(scratch), manager, mesh_of(options))
        n_bytes = sum(x.nbytes for x in jax.tree.leaves(state))
        seconds = _measure(run, state)
    files = f"in {workdir}: at most 3 checkpoints of {_size(n_bytes)}, logs, the last evaluation's detections"
    lines = [*_about_data(run), *_about_memory(run, n_bytes), *_about_time(run, seconds), ("writes", files)]
    print("\n".join(f"{name:<12}{text}" for name, text in lines))


def _measure(run: Run, state: TrainState) -> Seconds:
    """Compile the run's programs, and time its first steps and a part of its evaluation."""
    since = time.monotonic()
    with compiling(run.jobs(state)):
        pass
    compilation = time.monotonic() - since
    n_steps = min(WARM + TIMED, run.total)
    times = []
    data = train_batches(run.train_set, run.plan, run.options.data, start_step=0, num_steps=n_steps)
    with contextlib.closing(started(data)) as batches:
        since = time.monotonic()
        for batch in batches:
            state, output = run.step(state, run.frozen, split_batch(batch, run.mesh))
            jax.block_until_ready(output)
            times.append(time.monotonic() - since)
            since = time.monotonic()
    return Seconds(compilation, median(times[WARM:] or times), _time_evaluation(run, state))


def _time_evaluation(run: Run, state: TrainState) -> float:
    """Time of a whole evaluation, by its first batches [seconds]."""
    evaluator, total = run.evaluator, 0.0
    for name, variables in evaluated_variables(state).items():
        n_batches = min(TIMED, evaluator.n_batches)
        since = time.monotonic()
        evaluator.detect(name, variables, at_most=n_batches)
        total += (time.monotonic() - since) * evaluator.n_batches / n_batches
    return total


def _about_data(run: Run) -> Iterator[Line]:
    options, plan, dataset = run.options, run.plan, run.train_set
    positions = np.concatenate(plan.groups)
    objects = [len(dataset.records[position].boxes) for position in positions]
    yield "classes", f"{len(dataset.class_names)}: {first_few(dataset.class_names)}"
    yield "pictures", f"{len(positions)} to train on, {run.evaluator.n_pictures} to validate"
    yield "objects", f"{np.mean(objects):.1f} a picture, at most {max(objects)}; padded to {plan.max_objects}"
    yield (
        "steps",
        f"{run.total}: {options.train.epochs} epochs of {plan.steps_per_epoch}, {plan.batch_size} pictures each",
    )
    canvases = ", ".join(f"{height}x{width}" for height, width in plan.canvases)
    yield "canvases", f"{canvases}; {100 * plan.padding:.0f} % of them is padding"


def _about_memory(run: Run, n_bytes: int) -> Iterator[Line]:
    state = f"{_size(n_bytes)} of it weights and optimiser"
    yield "memory", f"at most {_size(max(run.programs.memory()))} of each device in training, {state}"


def _about_time(run: Run, seconds: Seconds) -> Iterator[Line]:
    options, steps = run.options.train, run.total * seconds.step
    n_evaluations = math.ceil(options.epochs / options.eval_every)
    rate = run.plan.batch_size / seconds.step
    yield "a step", f"{seconds.step:.3g} s, {rate:.3g} pictures/s (median of steps {WARM + 1} to {WARM + TIMED})"
    yield "evaluation", f"{_duration(seconds.evaluation)}, {n_evaluations} times; COCO's numbers come on top"
    total = seconds.compilation + steps + n_evaluations * seconds.evaluation
    yield "the run", f"{_duration(total)}, of which {_duration(seconds.compilation)} to compile, here and now"


def _size(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:.2f} GB" if n_bytes > 1e9 else f"{n_bytes / 1e6:.0f} MB"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
