"""The training run: load, step, log, evaluate, save."""

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import orbax.checkpoint as ocp
from jax.sharding import Mesh

from lad_jax.data import Plan, fingerprint, make_plan, open_datasets, train_batches
from lad_jax.errors import InputError
from lad_jax.evaluation.coco import write_detections, write_metrics
from lad_jax.evaluation.evaluator import Evaluator
from lad_jax.options import RunOptions
from lad_jax.train import checkpoint
from lad_jax.train.logging import RunLog
from lad_jax.train.optimizer import make_optimizer, make_schedule, peak_learning_rate
from lad_jax.train.setup import make_networks, make_run_step
from lad_jax.train.sharding import make_mesh, replicate, split_batch
from lad_jax.train.state import TrainState, evaluated_variables, init_state
from lad_jax.train.step import compile_once
from lad_jax.train.window import Window

_log = logging.getLogger(__name__)


def train(options: RunOptions, workdir: Path) -> None:
    """Train, or go on with, the run in `workdir`, until its last epoch is evaluated and saved.

    Raises:
      InputError: anything that the user can put right, and whatever can be known without decoding before the
        first step.
    """
    # Not among the checks of the options: a run that was trained with such a schedule can still be evaluated.
    decays, epochs = options.optimizer.decay_epochs, options.train.epochs
    if decays and decays[-1] >= epochs:
        raise InputError(
            f"config.optimizer.decay_epochs is {decays}, but the run ends after config.train.epochs = {epochs}: set "
            "earlier epochs; or, for a learning rate that stays, as in a short trial: "
            "--config.optimizer.decay_epochs='()'"
        )
    sizes = {
        "train.batch_size / config.train.accumulate": options.train.batch_size // options.train.accumulate,
        "evaluation.batch_size": options.evaluation.batch_size,
    }
    mesh = make_mesh(options.train.devices, sizes)
    train_set, val_set = open_datasets(options.data)
    plan = make_plan(train_set, options.data, batch_size=options.train.batch_size, seed=options.seed)
    workdir.mkdir(parents=True, exist_ok=True)
    with checkpoint.make_manager(workdir) as manager:
        networks = make_networks(options, train_set, resuming=manager.latest_step() is not None)
        total = plan.steps_per_epoch * options.train.epochs
        schedule = make_schedule(
            options.optimizer, batch_size=options.train.batch_size, steps_per_epoch=plan.steps_per_epoch
        )
        optimizer = make_optimizer(
            options.optimizer, schedule, {name: options.model_of(name) for name in options.policy.trained}
        )
        state = init_state(networks.trained, optimizer, ema=options.optimizer.ema_decay > 0)
        state, frozen = replicate(state, mesh), replicate(networks.frozen, mesh)
        meta = checkpoint.Meta(
            config=checkpoint.as_json(options),
            class_names=train_set.class_names,
            category_ids=train_set.category_ids,
            data=fingerprint(train_set.records),
            teacher=networks.teacher,
            pretrained=networks.pretrained,
        )
        state, meta = _resume(manager, state, meta, workdir)
        start = done = int(state.step)
        (workdir / "config.json").write_text(json.dumps(meta.config, indent=2) + "\n")

        step = compile_once(
            make_run_step(options, networks.models, optimizer, schedule),
            plan.canvases,
            mesh,
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
            workdir, start=start, total=total, steps_per_epoch=plan.steps_per_epoch, batch_size=options.train.batch_size
        )
        window = Window(train_set)

        def rescue() -> None:
            """Keep what was learned since the last checkpoint: an error is about to end the run."""
            if done != (manager.latest_step() or 0):
                window.close(done)  # raises where there is nothing worth keeping
                checkpoint.save(manager, state, meta, None)

        batches = train_batches(train_set, plan, options.data, start_step=start, num_steps=total - start)
        while done < total:
            with _on_error(rescue):
                batch = next(batches)
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
                with _on_error(rescue):
                    results = evaluator(evaluated_variables(state))
                main = results[options.evaluation.network]
                # The files first: a run killed in between evaluates again, and writes the same.
                write_metrics(workdir, {name: result.metrics for name, result in results.items()})
                write_detections(workdir, main.detections)
                log.evaluation(done, results, time.monotonic() - since)
                checkpoint.save(manager, state, meta, main.metrics.overall["AP"] or 0.0)
                log.pictures(done, evaluator.pictures(main.detections))
                log.restart_clock()
            elif save:
                checkpoint.save(manager, state, meta, None)
        batches.close()
        log.close()
        manager.wait_until_finished()


@contextlib.contextmanager
def _on_error(action: Callable[[], None]) -> Iterator[None]:
    """Call `action` before an error of the block goes on."""
    try:
        yield
    except Exception:
        action()
        raise


def _resume(
    manager: ocp.CheckpointManager, state: TrainState, meta: checkpoint.Meta, workdir: Path
) -> tuple[TrainState, checkpoint.Meta]:
    """The newest checkpoint of the workdir with what the run began from, or `state` and `meta` where there is none."""
    if manager.latest_step() is None:
        return state, meta
    folder = Path(manager.directory) / str(manager.latest_step())
    if not (folder / "optimizer").is_dir():
        raise InputError(
            f"{workdir} holds converted weights and no run to go on with: they are there to evaluate, to predict with "
            f"and to teach. Take another workdir; as a teacher they are used by config.teacher.path={workdir}."
        )
    saved = checkpoint.read_meta(folder)
    checkpoint.check_same_run(saved, meta, workdir)
    return checkpoint.restore(manager, state), replace(meta, pretrained=saved.pretrained)


def _announce(options: RunOptions, plan: Plan, evaluator: Evaluator, start: int, total: int, mesh: Mesh) -> None:
    devices = mesh.devices.flatten()
    canvases = ", ".join(f"{height}x{width}" for height, width in plan.canvases)
    _log.info("%d %s device(s), jax %s", len(devices), devices[0].device_kind, jax.__version__)
    _log.info("method %s: %d steps, %d an epoch", options.method, total, plan.steps_per_epoch)
    train = options.train
    _log.info("a checkpoint every %d epoch(s) and every %d steps", train.eval_every, train.checkpoint_every)
    _log.info("will compile %d training program(s), one a canvas: %s", len(plan.canvases), canvases)
    _log.info("and %d for evaluation", evaluator.n_programs)
    peak = peak_learning_rate(options.optimizer, options.train.batch_size)
    _log.info("learning rate %g for a batch of %d", peak, options.train.batch_size)
    if options.optimizer.warmup_steps >= total:
        # No error: a trial of a few steps is a use of its own, and means what a longer run's first steps mean.
        _log.warning(
            "config.optimizer.warmup_steps is %d, but the run has %d steps: the learning rate does not reach its peak",
            options.optimizer.warmup_steps,
            total,
        )
    if start:
        _log.info("going on from step %d, epoch %.2f", start, start / plan.steps_per_epoch)
