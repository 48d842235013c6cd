"""Time of a training step and of its parts, on random pictures and random weights.

    python -m benchmarks.step --config=configs/base.py --height=256 --width=256 --batch=2

Each part is a program of its own, jitted and timed alone, so the parts need not add up to the whole step. The step is
also timed with the other value of `mask_padding`, in turns with its own. `--config.train.accumulate` shows what taking
a batch in parts does to memory and time.
"""

import json
import statistics
import time
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags
from ml_collections import config_flags

from lad_jax import RunOptions, from_config, losses
from lad_jax.assign import make_assigner
from lad_jax.models import Detector
from lad_jax.priors import make_priors, within
from lad_jax.train.assignment import assign_batch
from lad_jax.train.optimizer import make_optimizer, make_schedule
from lad_jax.train.setup import make_run_step
from lad_jax.train.state import init_state, init_variables, params_of, with_params
from lad_jax.types import Batch, GroundTruth

FLAGS = flags.FLAGS
config_flags.DEFINE_config_file("config", "configs/base.py", "Config to time.")
flags.DEFINE_integer("height", 256, "Canvas height, a multiple of 32.")
flags.DEFINE_integer("width", 256, "Canvas width, a multiple of 32.")
flags.DEFINE_integer("batch", 2, "Pictures a step.")
flags.DEFINE_integer("objects", 7, "Objects a picture.")
flags.DEFINE_integer("classes", 80, "Classes.")
flags.DEFINE_integer("runs", 5, "Timed runs; the median is shown.")
flags.DEFINE_string("json", "", "File to write the figures to.")


def random_batch(rng: np.random.Generator, *, padded: int) -> Batch:
    """Noise with boxes of all sizes on it."""
    n, hw = FLAGS.batch, np.array([FLAGS.height, FLAGS.width])
    size = np.exp(rng.uniform(np.log(16), np.log(hw.min() * 0.8), (n, padded, 2)))
    corner = rng.uniform(0, 1, (n, padded, 2)) * (hw[::-1] - size)
    mask = np.broadcast_to(np.arange(padded) < FLAGS.objects, (n, padded))
    return Batch(
        images=rng.integers(0, 256, (n, *hw, 3), dtype=np.uint8),
        truth=GroundTruth(
            boxes=np.concatenate([corner, corner + size], axis=2).astype(np.float32),
            labels=rng.integers(0, FLAGS.classes, (n, padded)).astype(np.int32),
            mask=mask,
            crowd=np.zeros_like(mask),
        ),
        image_hw=np.broadcast_to(hw, (n, 2)).astype(np.int32),
        original_hw=np.broadcast_to(hw, (n, 2)).astype(np.int32),
        scale=np.ones((n, 2), np.float32),
        position=np.arange(n, dtype=np.int32),
        valid=np.ones(n, bool),
    )


def measure(parts: dict[str, tuple[Any, ...]]) -> dict[str, tuple[float, float, float]]:
    """Of each (function, *arguments): time to compile, temporary memory [MB], median time of a run; all take turns."""
    programs, compiling = {}, {}
    for name, (function, *args) in parts.items():
        since = time.perf_counter()
        programs[name] = jax.jit(function).lower(*args).compile()
        compiling[name] = time.perf_counter() - since
        jax.block_until_ready(programs[name](*args))
    runs: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(FLAGS.runs):
        for name, (_, *args) in parts.items():
            since = time.perf_counter()
            jax.block_until_ready(programs[name](*args))
            runs[name].append(time.perf_counter() - since)
    memory = {name: program.memory_analysis().temp_size_in_bytes / 1e6 for name, program in programs.items()}
    return {name: (compiling[name], memory[name], statistics.median(runs[name])) for name in parts}


def main(_: list[str]) -> None:
    options = from_config(RunOptions, FLAGS.config)
    # Sums over the whole batch, whatever the config has: the batch here is as small as is asked for.
    options = replace(options, losses=replace(options.losses, normaliser_pictures=0))
    method, geometry = options.policy, options.model

    def models_of(**changes):
        return {name: Detector(replace(options.model_of(name), **changes), FLAGS.classes) for name in method.networks}

    models = models_of()
    variables = {name: init_variables(model, seed) for seed, (name, model) in enumerate(models.items())}
    trained = {name: variables[name] for name in method.trained}
    frozen = {name: variables[name] for name in method.frozen}
    schedule = make_schedule(options.optimizer, batch_size=FLAGS.batch, steps_per_epoch=1000)
    optimizer = make_optimizer(options.optimizer, schedule, {name: options.model_of(name) for name in trained})
    assigner = make_assigner(options.assigner, geometry.n_levels)
    state = init_state(trained, optimizer, ema=options.optimizer.ema_decay > 0)
    batch = jax.device_put(random_batch(np.random.default_rng(0), padded=-(-FLAGS.objects // 8) * 8))
    canvas = make_priors((FLAGS.height, FLAGS.width), geometry.strides, geometry.anchor_scale)
    priors = jax.vmap(lambda hw: jax.tree.map(jnp.asarray, within(canvas, hw)))(batch.image_hw)

    def step_of(models):
        return make_run_step(options, models, optimizer, schedule)

    def networks(variables):
        return {name: models[name].apply(v, batch.images, batch.image_hw) for name, v in variables.items()}

    def bare_loss(params):
        return sum(jnp.mean(x) for x in jax.tree.leaves(networks(with_params(trained, params))))

    def assign(predictions):
        return assign_batch(
            predictions,
            priors,
            batch.truth,
            method=method,
            assigner=assigner,
            n_levels=geometry.n_levels,
            switch=options.switch,
        ).assignment

    def detection_loss(predictions, assignment):
        terms = losses.detection_terms(
            predictions, assignment, batch.truth, batch.valid, box_weighting=method.box_weighting
        )
        return sum(terms.values())

    def update(gradients, state):
        return optimizer.update(gradients, state.optimizer, params_of(state.variables))

    params = params_of(trained)
    predictions = jax.jit(networks)(variables)
    assignment = jax.jit(assign)(predictions)
    other = not geometry.mask_padding
    parts: dict[str, tuple[Any, ...]] = {
        "whole step": (step_of(models), state, frozen, batch),
        f"whole step, mask_padding={other}": (step_of(models_of(mask_padding=other)), state, frozen, batch),
        "networks, forward": (networks, variables),
        "trained networks, forward and backward": (jax.grad(bare_loss), params),
        "assignment": (assign, predictions),
        "loss and its gradient": (jax.grad(detection_loss), predictions["student"], assignment),
        "optimiser": (update, params, state),
    }
    rows = measure(parts)
    device = jax.devices()[0]
    print(f"{options.method}, {FLAGS.batch} x {FLAGS.height}x{FLAGS.width}, {geometry.dtype}, {device.device_kind}, ")
    print(f"jax {jax.__version__}\n\n| part | ms | of the step | temporary MB | compile s |\n|---|---|---|---|---|")
    *_, whole = rows["whole step"]
    for name, (compiling, memory, run) in rows.items():
        print(f"| {name} | {1000 * run:.1f} | {100 * run / whole:.0f} % | {memory:.0f} | {compiling:.1f} |")
    print(f"\n{FLAGS.batch / whole:.2f} images/s")
    if FLAGS.json:
        with open(FLAGS.json, "w") as file:
            figures = {name: {"compile_s": c, "temporary_mb": m, "run_s": r} for name, (c, m, r) in rows.items()}
            json.dump(figures, file, indent=2)


if __name__ == "__main__":
    app.run(main)
