"""Preparing a run: all that it needs is built and checked before its first step."""

import dataclasses
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from jax.sharding import Mesh

from lad_jax import hosts
from lad_jax.assign import make_assigner
from lad_jax.assign.outside import is_outside
from lad_jax.data import DataSet, Plan, fingerprint, make_plan, open_datasets
from lad_jax.data.records import doubt_lines
from lad_jax.errors import InputError
from lad_jax.evaluation.evaluator import Evaluator
from lad_jax.files import write_whole
from lad_jax.mesh import make_mesh, replicate, sharded
from lad_jax.models.backbones import check_canvases
from lad_jax.options import RunOptions
from lad_jax.programs import Job, Programs, blank_shapes, shapes_of
from lad_jax.run import checkpoint
from lad_jax.run.build import make_train_step
from lad_jax.run.environment import note_start
from lad_jax.run.first_batch import check_first_batch
from lad_jax.run.meta import Meta, as_json
from lad_jax.run.networks import make_networks
from lad_jax.run.recorder import Recorder
from lad_jax.run.recover import resume
from lad_jax.run.starting_weights import check_frozen, check_starts_elsewhere
from lad_jax.train.debug import debugged
from lad_jax.train.optimizer import OptimizerOptions, peak_learning_rate
from lad_jax.train.state import TrainState, Variables, evaluated_variables, init_state
from lad_jax.train.step import StepFunction
from lad_jax.types import Network

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """Objects of a run that stay the same from step to step."""

    options: RunOptions
    workdir: Path
    mesh: Mesh
    train_set: DataSet
    plan: Plan
    manager: ocp.CheckpointManager
    meta: Meta
    frozen: dict[Network, Variables]
    programs: Programs
    """Training step, compiled for each canvas."""
    step: StepFunction
    evaluator: Evaluator
    recorder: Recorder

    @property
    def total(self) -> int:
        """Number of steps."""
        return self.plan.steps_per_epoch * self.options.train.epochs

    def jobs(self, state: TrainState) -> list[Job]:
        """Compilations of the run; also those of the evaluation, which else might fail an epoch later."""
        shapes = shapes_of(state)
        evaluated = evaluated_variables(shapes)
        evaluation = [*self.evaluator.jobs(evaluated), *self.recorder.jobs()]
        return [*self.programs.jobs(shapes, shapes_of(self.frozen)), *evaluation]


def prepare(options: RunOptions, workdir: Path, manager: ocp.CheckpointManager, mesh: Mesh) -> tuple[Run, TrainState]:
    """Build and check a run, and the state that it starts with or goes on from.

    Raises:
      InputError: anything that the user can put right and that can be known without decoding.
    """
    train_set, val_set = open_datasets(options.data)
    for line in doubt_lines(train_set, val_set, options.evaluation.postprocess.counted):
        _log.warning("%s", line)
    plan = make_plan(train_set, options.data, batch_size=options.train.batch_size, seed=options.seed)
    networks = make_networks(options, train_set, resuming=manager.latest_step() is not None)
    train_step = make_train_step(options, networks.models, steps_per_epoch=plan.steps_per_epoch, mesh=mesh)
    if is_outside(options.assigner.name):
        check_first_batch(options, train_set, plan, train_step)
    state = init_state(networks.trained, train_step.optimizer, seed=options.seed, ema=options.optimizer.ema_decay > 0)
    meta = Meta(
        config=as_json(options),
        class_names=train_set.class_names,
        category_ids=train_set.category_ids,
        data=fingerprint(train_set.records),
        teacher=networks.teacher,
        pretrained=networks.pretrained,
    )
    evaluated = {name: networks.models[name] for name in options.roles.trained}
    evaluator = Evaluator(evaluated, val_set, options.data, options.evaluation, mesh)
    for name in options.roles.networks:
        canvases = plan.canvases + (evaluator.canvases if name in options.roles.trained else ())
        check_canvases(canvases, options.model_of(name).backbone, f"{options.key_of(name)}.backbone")
    if jax.process_count() > 1:
        hosts.check_alike(_facts(meta, val_set, networks.trained, manager.latest_step()))
    state, meta = resume(manager, replicate(state, mesh), meta, workdir)
    if hosts.is_writer():
        write_whole(workdir / "config.json", json.dumps(meta.config, indent=2) + "\n")
        note_start(workdir, int(state.step))
    programs = Programs("training", train_step.jitted, blank_shapes(plan, sharded(mesh)))
    frozen, of_epoch = replicate(networks.frozen, mesh), plan.steps_per_epoch
    recorder = Recorder(options, workdir, val_set, train_step.assigner, networks.models, frozen, mesh, of_epoch)
    run = Run(
        options=options,
        workdir=workdir,
        mesh=mesh,
        train_set=train_set,
        plan=plan,
        manager=manager,
        meta=meta,
        frozen=frozen,
        programs=programs,
        step=debugged(programs, networks.models, train_set, mesh) if options.debug else programs,
        evaluator=evaluator,
        recorder=recorder,
    )
    _announce(run, int(state.step))
    return run, state


def check_options(options: RunOptions, workdir: Path) -> None:
    """Check what a run needs of its options, but an evaluation does not; no data are read.

    Raises:
      InputError: the learning rate decays after the last epoch, a network starts from the run's own workdir, what is
        frozen starts at random, or the assigner is not there or does not fit.
    """
    _check_schedule(options)
    check_starts_elsewhere(options, workdir)
    check_frozen(options)
    assigner = make_assigner(options.assigner)  # one from outside is imported here first
    try:
        options.check_assigner(assigner)
    except ValueError as error:
        raise InputError(f"config: {error}") from None


def _check_schedule(options: RunOptions) -> None:
    """Check that the learning rate decays before the run ends."""
    decays, epochs = options.optimizer.decay_epochs, options.train.epochs
    if options.optimizer.schedule == "steps" and decays and decays[-1] >= epochs:  # a share is below 1
        raise InputError(
            f"config.optimizer.decay_epochs is {decays}, but the run ends after config.train.epochs = {epochs}: set "
            "earlier epochs, or shares of the run, such as (0.67, 0.92); or, for a learning rate that stays, as in a "
            "short trial: --config.optimizer.decay_epochs='()'"
        )


def mesh_of(options: RunOptions) -> Mesh:
    """The devices of a run.

    Raises:
      InputError: see `make_mesh`.
    """
    divided = " / config.train.accumulate" if options.train.accumulate > 1 else ""
    sizes = {
        f"config.train.batch_size{divided}": options.train.batch_size // options.train.accumulate,
        "config.evaluation.batch_size": options.evaluation.batch_size,
    }
    return make_mesh(options.mesh, sizes)


def _facts(meta: Meta, val_set: DataSet, trained: Mapping[Network, Variables], newest: int | None) -> dict[str, Any]:
    """All that the processes of a run must have alike, by name."""
    return {
        "configs": meta.config,
        "versions of jax": jax.__version__,
        "training data": (meta.class_names, meta.category_ids, meta.data),
        "validation data": (val_set.category_ids, fingerprint(val_set.records)),
        "frozen teachers": meta.teacher.get("digest"),
        "starting weights": [checkpoint.digest(variables) for variables in trained.values()],
        "newest checkpoints": newest,
    }


def _announce(run: Run, start: int) -> None:
    options, plan, devices = run.options, run.plan, run.mesh.devices
    canvases = ", ".join(f"{height}x{width}" for height, width in plan.canvases)
    _log.info("%d %s device(s); jax %s", devices.size, devices[0].device_kind, jax.__version__)
    _log.info("method %s: %d steps, %d an epoch", options.method, run.total, plan.steps_per_epoch)
    if options.roles.costs_from:
        _log.info("assigner %s, by costs of: %s", options.assigner.name, ", ".join(options.roles.costs_from))
    train = options.train
    every = train.eval_every, train.checkpoint_every
    _log.info("a checkpoint every %d epoch(s), every %d steps, and at the end", *every)
    _log.info("will compile %d training program(s), one a canvas: %s", len(plan.canvases), canvases)
    _log.info("and %d for evaluation", run.evaluator.n_programs)
    _log.info("%.1f %% of the pixels of these canvases are padding", 100 * plan.padding)
    peak = peak_learning_rate(options.optimizer, options.train.batch_size)
    _log.info("learning rate %g for a batch of %d", peak, options.train.batch_size)
    factors = dataclasses.asdict(options.optimizer.lr_factors)
    if changed := [f"{part} {f:g}" if f else f"{part} 0 (frozen)" for part, f in factors.items() if f != 1]:
        _log.info("of that for parts of the networks: %s", ", ".join(changed))
    _warn_of_few_steps(options.optimizer, run.total)
    if start:
        _log.info("going on from step %d, epoch %.2f", start, start / plan.steps_per_epoch)


def _warn_of_few_steps(options: OptimizerOptions, total: int) -> None:
    """Warn of what takes more steps than the run has. No error: a trial of a few steps is legitimate."""
    if options.warmup_steps >= total:
        _log.warning(
            "config.optimizer.warmup_steps is %d, but the run has %d steps: the learning rate does not reach its peak. "
            "If this is no trial, raise config.train.epochs, or lower warmup_steps to a tenth of the steps",
            *(options.warmup_steps, total),
        )
    of_start = options.ema_decay**total
    if options.ema_decay and of_start > 0.01:
        _log.warning(
            "config.optimizer.ema_decay is %g: after the run's %d steps %.0f %% of the averaged weights, which are "
            "evaluated and saved, are still those of the start. If this is no trial, lower it to %.2g or less",
            *(options.ema_decay, total, 100 * of_start, 0.01 ** (1 / total)),
        )
