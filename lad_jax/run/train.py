"""The training run: load, step, log, evaluate, save."""

import contextlib
import logging
import time
from pathlib import Path

import jax

from lad_jax import hosts
from lad_jax.data import begun, train_batches
from lad_jax.evaluation.coco import write_detections, write_metrics
from lad_jax.mesh import local_rows, split_batch
from lad_jax.options import RunOptions
from lad_jax.programs import compiling
from lad_jax.progress import doing
from lad_jax.run import saving
from lad_jax.run.interrupt import Interrupted, Interruptions, before_leaving
from lad_jax.run.logging import RunLog
from lad_jax.run.prepare import Run, check_schedule, mesh_of, prepare
from lad_jax.run.recover import open_manager
from lad_jax.run.watchdog import watch
from lad_jax.run.window import Window
from lad_jax.train.state import TrainState, evaluated_variables

_log = logging.getLogger(__name__)


def train(options: RunOptions, workdir: Path) -> None:
    """Train, or go on with, the run in `workdir`, until its last epoch is evaluated and saved.

    Raises:
      InputError: anything that the user can put right, and whatever can be known without decoding before the
        first step.
      Interrupted: by SIGTERM or Ctrl-C, after saving; only in the main thread.
    """
    check_schedule(options)
    mesh = mesh_of(options)
    workdir.mkdir(parents=True, exist_ok=True)
    hosts.check_shared(workdir)
    with Interruptions() as stop, open_manager(workdir) as manager, watch(options.train.watchdog_s):
        try:
            with stop.at_once(), doing("preparing: data, networks and the last checkpoint"):
                run, state = prepare(options, workdir, manager, mesh)
            _train(run, state, stop)
        except Interrupted as end:
            step = manager.latest_step() or 0
            _log.warning("%s: exit code %s; the same command goes on from step %d", end.signal.name, end.code, step)
            raise


def _train(run: Run, state: TrainState, stop: Interruptions) -> None:
    options, plan, manager = run.options.train, run.plan, run.manager
    start = done = int(state.step)
    owed = start > 0 and _is_evaluated(run, start) and manager.metrics(start) is None
    log = RunLog(
        run.workdir,
        start=start,
        evaluated=not owed,
        total=run.total,
        steps_per_epoch=plan.steps_per_epoch,
        batch_size=options.batch_size,
        writes=hosts.is_writer(),
    )
    window = Window(run.train_set, options)

    def keep() -> None:
        """Save what was learned since the last checkpoint: the run is about to end."""
        source.close()
        try:
            if done != (manager.latest_step() or 0):
                scalars, image_ids = window.close(done)  # raises where too many steps were left out
                if image_ids:
                    log.window(done, scalars, image_ids)
                saving.save(manager, state, run.meta)
        finally:
            saving.finish(manager)
            log.close()

    rows = local_rows(run.mesh, options.batch_size)
    source = train_batches(
        run.train_set, plan, run.options.data, start_step=start, num_steps=run.total - start, rows=rows
    )
    with contextlib.closing(source):
        with (
            stop.at_once(),
            doing("compiling the run's programs"),
            compiling(run.jobs(state) if start < run.total else []),
            doing(f"waiting for the batch of step {start + 1}"),
        ):
            batches = begun(source)
        log.restart_clock()
        with before_leaving(keep):
            stop.go_on_from(start)
            if owed:  # the run ended after this step was saved and before its AP was
                _evaluate(run, state, log, stop)
        while done < run.total:
            with before_leaving(keep), stop.at_once(), doing(f"waiting for the batch of step {done + 1}"):
                batch = next(batches)
            # Nothing goes from host to device, or back, that is not said here.
            with doing(f"starting step {done + 1}"), jax.transfer_guard("disallow"):
                state, output = run.step(state, run.frozen, split_batch(batch, run.mesh))
                window.add(output)
            log.step()
            done += 1
            evaluate = _is_evaluated(run, done)
            save = evaluate or done % options.checkpoint_every == 0
            with doing(f"waiting for the devices to end step {done}"):
                if (done - 1) % options.log_every == 0 and len(window) > 1:  # a step late: the newest is not waited for
                    log.window(done - 1, *window.close(done - 1, keep=1))
                    saving.check(manager)
                if save:
                    log.window(done, *window.close(done))
            # After steps left out the newest checkpoint stays one from before them, but for that of an evaluation.
            if evaluate or (save and not window.skipped_in_a_row):
                saving.save(manager, state, run.meta)
            with before_leaving(keep):
                stop.check(done)
                if evaluate:
                    _evaluate(run, state, log, stop)
    log.close()
    saving.finish(manager)


def _is_evaluated(run: Run, step: int) -> bool:
    """Whether there is an evaluation after so many steps."""
    return step % (run.plan.steps_per_epoch * run.options.train.eval_every) == 0 or step == run.total


def _evaluate(run: Run, state: TrainState, log: RunLog, stop: Interruptions) -> None:
    """Evaluate a state that was saved, write all that was found, and note the AP with the checkpoint.

    That comes last: a run that ends before it evaluates again, and writes the same.
    """
    since, step = time.monotonic(), int(state.step)
    with stop.at_once(), doing(f"evaluating after step {step}"):
        results = run.evaluator(evaluated_variables(state))
    main = results[run.options.evaluation.network]
    if hosts.is_writer():
        write_metrics(run.workdir, {name: result.metrics for name, result in results.items()})
        write_detections(run.workdir, main.detections)
    log.evaluation(step, results, time.monotonic() - since)
    log.pictures(step, run.evaluator.pictures(main.detections))
    saving.note_ap(run.manager, step, main.metrics.overall["AP"] or 0.0)
    log.restart_clock()
