"""The training run: load, step, log, evaluate, save."""

import logging
import time
from pathlib import Path

import jax

from lad_jax import hosts
from lad_jax.data import started, train_batches
from lad_jax.ending import Interrupted
from lad_jax.evaluation.coco import write_detections, write_metrics
from lad_jax.mesh import local_rows, split_batch
from lad_jax.options import RunOptions
from lad_jax.paths import make_folder
from lad_jax.programs import compiling
from lad_jax.progress import activity
from lad_jax.run import lock, recording, saving
from lad_jax.run.interrupt import Interruptions, saving_on_exit
from lad_jax.run.logging import RunLog
from lad_jax.run.prepare import Run, check_options, mesh_of, prepare
from lad_jax.run.recover import open_manager
from lad_jax.run.watchdog import watch
from lad_jax.run.window import Window
from lad_jax.train.state import TrainState, evaluated_variables
from lad_jax.types import Batch

_log = logging.getLogger(__name__)


def train(options: RunOptions, workdir: Path) -> None:
    """Train, or go on with, the run in `workdir`, until its last epoch is evaluated and saved.

    Raises:
      InputError: anything that the user can put right; what can be known without decoding, before the first step.
      Interrupted: SIGTERM or Ctrl-C has come, after saving; only in the main thread.
    """
    check_options(options, workdir)
    mesh = mesh_of(options)
    make_folder(workdir, "workdir")
    hosts.check_shared(workdir)
    with (
        lock.hold(workdir),
        Interruptions() as stop,
        open_manager(workdir) as manager,
        watch(options.train.watchdog_s),
    ):
        try:
            with stop.at_once(), activity("preparing: data, networks and the last checkpoint"):
                run, state = prepare(options, workdir, manager, mesh)
            _Loop(run, state, stop).train()
        except Interrupted as end:
            step = manager.latest_step() or 0
            _log.warning("%s: exit code %s; the same command goes on from step %d", end.signal.name, end.code, step)
            raise


class _Loop:
    """A run on its way: the state after `done` steps, and the figures that are gathered for its log."""

    def __init__(self, run: Run, state: TrainState, stop: Interruptions) -> None:
        options, plan = run.options.train, run.plan
        self.run, self.options, self.state, self.stop = run, options, state, stop
        self.done = start = int(state.step)
        # The run may have ended after this step was saved and before its AP was.
        self.unevaluated = start > 0 and self.evaluation_is_due and run.manager.metrics(start) is None
        self.window = Window(run.train_set, options)
        self.run_log = RunLog(
            run.workdir,
            start=start,
            evaluated=not self.unevaluated,
            total=run.total,
            steps_per_epoch=plan.steps_per_epoch,
            batch_size=options.batch_size,
            writes=hosts.is_writer(),
        )
        if hosts.is_writer():
            recording.drop_after(run.workdir, start)
        rows = local_rows(run.mesh, options.batch_size)
        self.batches = train_batches(
            run.train_set,
            plan,
            run.options.data,
            start_step=start,
            num_steps=0 if self.is_over else run.total - start,
            rows=rows,
        )

    def train(self) -> None:
        """Do the steps that are left.

        The order of the loop matters:

        * step, then log: a step is only started. While the devices are at it the host writes the figures of the one
          before, so the newest step is waited for where it is saved, and nowhere else.
        * log, then save: a line that finds too many steps left out ends the run before any of them is saved.
        * save, then end or evaluate: what is asked to end here has lost nothing; an evaluation takes long, and a run
          that is killed in it goes on with it.
        """
        try:
            self.start()
            while not self.is_over:
                batch = self.next_batch()
                self.step(batch)
                self.log()
                self.save()
                self.end_if_asked()
                self.evaluate()
        finally:
            self.batches.close()
        if self.done < self.run.total:
            self.run_log.ended(self.done)
        self.run_log.close()
        saving.finish(self.run.manager)

    def start(self) -> None:
        """Compile everything while the first batch is read, and do an evaluation that a killed run has left undone."""
        jobs = [] if self.is_over else self.run.jobs(self.state)
        with (
            self.stop.at_once(),
            activity("compiling the run's programs"),
            compiling(jobs),
            activity(f"waiting for the batch of step {self.done + 1}"),
        ):
            self.batches = started(self.batches)
        self.run_log.restart_clock()
        with saving_on_exit(self.save_now):
            self.stop.go_on_from(self.done)
        if self.unevaluated:
            self.evaluate()

    def next_batch(self) -> Batch:
        """The pictures of the next step."""
        waiting = activity(f"waiting for the batch of step {self.done + 1}")
        with saving_on_exit(self.save_now), self.stop.at_once(), waiting:
            return next(self.batches)

    def step(self, batch: Batch) -> None:
        """Start a step, and return when the devices have done the one before."""
        # Nothing goes from host to device, or back, that is not said here.
        with activity(f"starting step {self.done + 1}"), jax.transfer_guard("disallow"):
            self.state, output = self.run.step(self.state, self.run.frozen, split_batch(batch, self.run.mesh))
            self.window.add(output)
        self.run_log.step()
        self.done += 1

    def log(self) -> None:
        """Write the figures of all steps but the newest, every so many steps."""
        step = self.done - 1
        if step % self.options.log_every == 0 and len(self.window) > 1:
            with activity(f"logging step {step}"):
                self.run_log.window(step, *self.window.take(step, keep=1))
                saving.raise_failure(self.run.manager)

    def save(self) -> None:
        """Save the state every so many steps, and where it is about to be evaluated."""
        if not self.evaluation_is_due and self.done % self.options.checkpoint_every:
            return
        with activity(f"waiting for the devices to end step {self.done}"):
            self.run_log.window(self.done, *self.window.take(self.done))
        # After steps left out the newest checkpoint stays one from before them, but for that of an evaluation.
        if self.evaluation_is_due or not self.window.skipped_in_a_row:
            saving.save(self.run.manager, self.state, self.run.meta)

    def end_if_asked(self) -> None:
        """End the run, saved, if a signal has come; of several processes all do, after the same step."""
        with saving_on_exit(self.save_now):
            self.stop.end_if_asked(self.done)

    def evaluate(self) -> None:
        """Evaluate the state that was saved, where that is due, write all that is found, and note its AP.

        The AP comes last: a run that ends before it evaluates again, and writes the same.
        """
        if not self.evaluation_is_due:
            return
        run, step, since = self.run, self.done, time.monotonic()
        with saving_on_exit(self.save_now):
            with self.stop.at_once(), activity(f"evaluating after step {step}"):
                results = run.evaluator(evaluated_variables(self.state), run.recorder.observe)
                main = results[run.options.evaluation.network]
                run.recorder.record(step, main.detections)
                run.recorder.record_errors(main)
            if hosts.is_writer():
                write_metrics(run.workdir, {name: result.metrics for name, result in results.items()})
                write_detections(run.workdir, main.detections)
            self.run_log.evaluation(step, results, time.monotonic() - since)
            self.run_log.pictures(step, run.evaluator.pictures(main.detections))
            saving.note_ap(run.manager, step, main.metrics.overall["AP"])
            self.unevaluated = False
            self.run_log.restart_clock()

    @property
    def is_over(self) -> bool:
        """Whether no step is left to do: all are done, or the AP has not become better for too long."""
        if self.done == self.run.total or self.unevaluated or not self.options.patience:
            return self.done == self.run.total
        best = saving.best_since(self.run.manager)
        return best is not None and self.done - best >= self.options.patience * self.steps_between_evaluations

    @property
    def steps_between_evaluations(self) -> int:
        """Number of steps from one evaluation to the next."""
        return self.run.plan.steps_per_epoch * self.options.eval_every

    @property
    def evaluation_is_due(self) -> bool:
        """Whether the last step ends an epoch that is evaluated, or the run."""
        return self.done % self.steps_between_evaluations == 0 or self.done == self.run.total

    def save_now(self) -> None:
        """Save the steps since the last checkpoint: the run is about to end."""
        self.batches.close()
        manager = self.run.manager
        try:
            if self.done != (manager.latest_step() or 0):
                scalars, image_ids = self.window.take(self.done)  # raises where too many steps were left out
                if image_ids:
                    self.run_log.window(self.done, scalars, image_ids)
                saving.save(manager, self.state, self.run.meta)
        finally:
            saving.finish(manager)
            self.run_log.close()
