"""The training run: load, step, log, evaluate, save."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.sharding import Mesh

from lad_jax.assign import make_assigner
from lad_jax.data import DataSet, Plan, make_plan, open_datasets, train_batches
from lad_jax.errors import InputError
from lad_jax.evaluation.coco import write_detections, write_metrics
from lad_jax.evaluation.evaluator import Evaluator
from lad_jax.options import RunOptions
from lad_jax.train import checkpoint
from lad_jax.train.logging import RunLog
from lad_jax.train.optimizer import make_optimizer, make_schedule, peak_learning_rate
from lad_jax.train.setup import make_networks
from lad_jax.train.sharding import make_mesh, replicate, split_batch
from lad_jax.train.state import TrainState, Variables, evaluated_variables, init_state
from lad_jax.train.step import StepOutput, make_train_step
from lad_jax.types import Batch, Network

_log = logging.getLogger(__name__)


def train(options: RunOptions, workdir: Path) -> None:
    """Train, or go on with, the run in `workdir`, until its last epoch is evaluated and saved.

    Raises:
      InputError: anything that the user can put right, and whatever can be known without decoding before the
        first step.
    """
    mesh = make_mesh(options)
    train_set, val_set = open_datasets(options.data)
    plan = make_plan(train_set, options.data, batch_size=options.train.batch_size, seed=options.seed)
    networks = make_networks(options, train_set)
    total = plan.steps_per_epoch * options.train.epochs

    schedule = make_schedule(
        options.optimizer, batch_size=options.train.batch_size, steps_per_epoch=plan.steps_per_epoch
    )
    optimizer = make_optimizer(
        options.optimizer, schedule, {name: options.model_of(name) for name in options.policy.trained}
    )
    state = init_state(networks.trained, optimizer, ema=options.optimizer.ema_decay > 0)
    state, frozen = replicate(state, mesh), replicate(networks.frozen, mesh)
    meta = checkpoint.Meta(checkpoint.as_json(options), train_set.class_names, train_set.category_ids, networks.teacher)
    workdir.mkdir(parents=True, exist_ok=True)
    with checkpoint.make_manager(workdir) as manager:
        state = _resume(manager, state, meta, workdir)
        start = int(state.step)
        (workdir / "config.json").write_text(json.dumps(meta.config, indent=2) + "\n")
        step = compile_once(
            make_train_step(
                networks.models,
                method=options.policy,
                assigner=make_assigner(options.assigner, options.model.n_levels),
                optimizer=optimizer,
                schedule=schedule,
                pad_multiple=options.data.pad_multiple,
                ema_decay=options.optimizer.ema_decay,
            ),
            plan.canvases,
        )
        evaluator = Evaluator(
            {name: networks.models[name] for name in options.policy.trained},
            val_set,
            options.data,
            options.evaluation,
            place=partial(split_batch, mesh=mesh),
        )
        _announce(options, plan, evaluator, start, total, mesh)
        log = RunLog(
            workdir,
            start=start,
            total=total,
            steps_per_epoch=plan.steps_per_epoch,
            batch_size=options.train.batch_size,
        )
        batches = train_batches(train_set, plan, options.data, start_step=start, num_steps=total - start)
        window, done = Window(train_set), start
        for batch in batches:
            state, output = step(state, frozen, split_batch(batch, mesh))
            window.add(output)
            log.step()
            done += 1
            evaluate = done % (plan.steps_per_epoch * options.train.eval_every) == 0 or done == total
            save = evaluate or done % options.train.checkpoint_every == 0
            if save or done % options.train.log_every == 0:
                log.window(done, *window.close(done))
            if evaluate:
                since = time.monotonic()
                results = evaluator(evaluated_variables(state))
                main = results[options.evaluation.network]
                checkpoint.save(manager, state, meta, main.metrics.overall["AP"] or 0.0)
                write_metrics(workdir, {name: result.metrics for name, result in results.items()})
                write_detections(workdir, main.detections)
                log.evaluation(done, results, time.monotonic() - since)
                log.pictures(done, evaluator.pictures(main.detections))
                log.restart_clock()
            elif save:
                checkpoint.save(manager, state, meta, None)
        log.close()
        manager.wait_until_finished()


def compile_once(
    step: Callable[..., Any], canvases: tuple[tuple[int, int], ...]
) -> Callable[[TrainState, Mapping[Network, Variables], Batch], tuple[TrainState, StepOutput]]:
    """The step, jitted with donated state and compiled once for each of `canvases`; any other shape is an error."""
    jitted = jax.jit(step, donate_argnums=0)
    programs: dict[tuple[int, int], Any] = {}

    def run(state: TrainState, frozen: Mapping[Network, Variables], batch: Batch) -> tuple[TrainState, StepOutput]:
        canvas = (batch.images.shape[1], batch.images.shape[2])
        if canvas not in programs:
            if canvas not in canvases:
                raise RuntimeError(f"canvas {canvas} is none of those that the run was planned with: {canvases}")
            since = time.monotonic()
            programs[canvas] = jitted.lower(state, frozen, batch).compile()
            seconds = time.monotonic() - since
            _log.info("compiled program %d of %d, canvas %s, in %.0f s", len(programs), len(canvases), canvas, seconds)
        return programs[canvas](state, frozen, batch)

    return run


class Window:
    """The outputs of the steps since the last line of the log; fetched from the devices only when it is closed."""

    def __init__(self, dataset: DataSet) -> None:
        self._dataset = dataset
        self._outputs: list[StepOutput] = []

    def add(self, output: StepOutput) -> None:
        self._outputs.append(output)

    def close(self, step: int) -> tuple[dict[str, float], list[list[int]]]:
        """Mean scalars and the image ids of each step; names the images that gave trouble.

        Raises:
          InputError: a loss that is not finite: no later step would mean anything.
        """
        outputs, self._outputs = jax.device_get(self._outputs), []
        ids = [[self._dataset.records[i].id for i in output.position.tolist()] for output in outputs]
        for offset, output in enumerate(outputs):
            number = step - len(outputs) + 1 + offset
            broken = [image for image, bad in zip(ids[offset], output.broken, strict=True) if bad]
            if broken:
                _log.warning("step %d: costs that are not finite for image ids %s", number, broken)
            skipped = [self._dataset.records[i].file_name for i in output.position[~output.valid].tolist()]
            if skipped:
                _log.warning("step %d: left out unreadable pictures: %s", number, ", ".join(skipped))
            if not np.isfinite(output.scalars["loss"]):
                terms = {name: float(v) for name, v in output.scalars.items() if "loss" in name}
                raise InputError(
                    f"the loss of step {number} is not finite ({terms}; image ids {ids[offset]}). Lower "
                    f"config.optimizer.learning_rate or set config.optimizer.clip_norm, and start again: it goes on "
                    f"from the last checkpoint."
                )
        scalars = {name: float(np.mean([o.scalars[name] for o in outputs])) for name in outputs[0].scalars}
        return scalars, ids


def _resume(manager: ocp.CheckpointManager, state: TrainState, meta: checkpoint.Meta, workdir: Path) -> TrainState:
    """The newest checkpoint of the workdir, or `state` where there is none."""
    if manager.latest_step() is None:
        return state
    saved = checkpoint.read_meta(Path(manager.directory) / str(manager.latest_step()))
    checkpoint.check_same_run(saved, meta, workdir)
    return checkpoint.restore(manager, state)


def _announce(options: RunOptions, plan: Plan, evaluator: Evaluator, start: int, total: int, mesh: Mesh) -> None:
    devices = mesh.devices.flatten()
    canvases = ", ".join(f"{height}x{width}" for height, width in plan.canvases)
    _log.info("%d %s device(s), jax %s", len(devices), devices[0].device_kind, jax.__version__)
    _log.info("method %s: %d steps, %d an epoch", options.method, total, plan.steps_per_epoch)
    _log.info("will compile %d training program(s), one a canvas: %s", len(plan.canvases), canvases)
    _log.info("and %d for evaluation", evaluator.n_programs)
    peak = peak_learning_rate(options.optimizer, options.train.batch_size)
    _log.info("learning rate %g for a batch of %d", peak, options.train.batch_size)
    if start:
        _log.info("going on from step %d, epoch %.2f", start, start / plan.steps_per_epoch)
