"""The training run: load, step, log, evaluate, save."""

import contextlib
import itertools
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import jax

from lad_jax.data import train_batches
from lad_jax.evaluation.coco import write_detections, write_metrics
from lad_jax.options import RunOptions
from lad_jax.programs import compiling
from lad_jax.train import checkpoint
from lad_jax.train.logging import RunLog
from lad_jax.train.prepare import Run, check_schedule, mesh_of, prepare
from lad_jax.train.sharding import split_batch
from lad_jax.train.state import TrainState, evaluated_variables
from lad_jax.train.window import Window
from lad_jax.types import Batch


def train(options: RunOptions, workdir: Path) -> None:
    """Train, or go on with, the run in `workdir`, until its last epoch is evaluated and saved.

    Raises:
      InputError: anything that the user can put right, and whatever can be known without decoding before the
        first step.
    """
    check_schedule(options)
    mesh = mesh_of(options)
    workdir.mkdir(parents=True, exist_ok=True)
    with checkpoint.make_manager(workdir) as manager:
        run, state = prepare(options, workdir, manager, mesh)
        _train(run, state)
        manager.wait_until_finished()


def _train(run: Run, state: TrainState) -> None:
    options, plan, manager = run.options.train, run.plan, run.manager
    start = done = int(state.step)
    log = RunLog(
        run.workdir,
        start=start,
        total=run.total,
        steps_per_epoch=plan.steps_per_epoch,
        batch_size=options.batch_size,
    )
    window = Window(run.train_set)

    def rescue() -> None:
        """Keep what was learned since the last checkpoint: an error is about to end the run."""
        if done != (manager.latest_step() or 0):
            window.close(done)  # raises where there is nothing worth keeping
            checkpoint.save(manager, state, run.meta, None)

    with compiling(run.jobs(state) if start < run.total else []):
        batches = _begun(
            train_batches(run.train_set, plan, run.options.data, start_step=start, num_steps=run.total - start)
        )
    log.restart_clock()
    while done < run.total:
        with _on_error(rescue):
            batch = next(batches)
        with jax.transfer_guard("disallow"):  # nothing goes from host to device, or back, that is not said here
            state, output = run.step(state, run.frozen, split_batch(batch, run.mesh))
            window.add(output)
        log.step()
        done += 1
        evaluate = done % (plan.steps_per_epoch * options.eval_every) == 0 or done == run.total
        save = evaluate or done % options.checkpoint_every == 0
        if (done - 1) % options.log_every == 0 and len(window) > 1:  # a step late: the newest is not waited for
            log.window(done - 1, *window.close(done - 1, keep=1))
        if save:
            log.window(done, *window.close(done))
        if evaluate:
            with _on_error(rescue):
                ap = _evaluate(run, state, done, log)
            checkpoint.save(manager, state, run.meta, ap)
            log.restart_clock()
        elif save:
            checkpoint.save(manager, state, run.meta, None)
    batches.close()
    log.close()


def _evaluate(run: Run, state: TrainState, done: int, log: RunLog) -> float:
    """The AP of the network that the run is about; written with all else that was found.

    Before the checkpoint is: a run killed in between evaluates again, and writes the same.
    """
    since = time.monotonic()
    results = run.evaluator(evaluated_variables(state))
    main = results[run.options.evaluation.network]
    write_metrics(run.workdir, {name: result.metrics for name, result in results.items()})
    write_detections(run.workdir, main.detections)
    log.evaluation(done, results, time.monotonic() - since)
    log.pictures(done, run.evaluator.pictures(main.detections))
    return main.metrics.overall["AP"] or 0.0


def _begun(batches: Generator[Batch, None, None]) -> Generator[Batch, None, None]:
    """The batches; the first is read at once, and with it the loader's processes start."""
    first = list(itertools.islice(batches, 1))

    def go_on() -> Generator[Batch, None, None]:
        with contextlib.closing(batches):
            yield from first
            yield from batches

    return go_on()


@contextlib.contextmanager
def _on_error(action: Callable[[], None]) -> Iterator[None]:
    """Call `action` before an error of the block goes on."""
    try:
        yield
    except Exception:
        action()
        raise
