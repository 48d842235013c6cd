"""The recording of a run that was trained before, or elsewhere, from its checkpoints."""

import json
import logging
from dataclasses import replace
from pathlib import Path

from lad_jax.config import from_config
from lad_jax.data import DataSet, make_plan, open_datasets
from lad_jax.errors import InputError
from lad_jax.evaluation.coco import Metrics
from lad_jax.evaluation.evaluator import Evaluated, Evaluator
from lad_jax.mesh import MeshOptions, make_mesh, replicate
from lad_jax.options import ReportOptions, RunOptions
from lad_jax.run import checkpoint
from lad_jax.run.build import make_models
from lad_jax.run.cohort import assigner_of, load_teacher, networks_of
from lad_jax.run.recorder import Recorder
from lad_jax.types import Network

_log = logging.getLogger(__name__)


def record(workdir: Path, n_pictures: int | None = None) -> None:
    """Record the evaluations of all checkpoints in a workdir, as the run itself does while it trains.

    Args:
      workdir: folder of the run, whose data must lie where its config says.
      n_pictures: number of pictures; None: the run's, or the default where that is 0.

    Raises:
      InputError: no checkpoint, one that cannot be read, other classes, a teacher that is not there, or an assigner
        from outside of the package.
    """
    folders = checkpoint.all_of(workdir)
    options = _options(folders[-1], n_pictures)
    assigner, trained = assigner_of(options), options.roles.trained
    train_set, val_set = open_datasets(options.data)
    _check_classes(folders[-1], val_set)
    of_epoch = make_plan(train_set, options.data, batch_size=options.train.batch_size, seed=options.seed)
    names = networks_of(options, assigner)
    models = make_models(options, len(val_set.class_names))
    mesh = make_mesh(options.mesh, {})
    frozen = {n: load_teacher(folders[-1], options) for n in names if n not in trained}
    evaluated = {n: models[n] for n in trained if n in names or n == options.evaluation.network}
    evaluator = Evaluator(evaluated, val_set, options.data, options.evaluation, mesh)
    frozen_there, steps = replicate(frozen, mesh), of_epoch.steps_per_epoch
    recorder = Recorder(options, workdir, val_set, assigner, models, frozen_there, mesh, steps)
    for folder in folders:
        _log.info("recording %s", folder)
        found = {
            name: evaluator.detect(
                name,
                replicate(checkpoint.read_variables(folder, name), mesh),
                at_most=recorder.n_batches,
                observe=recorder.observe,
            )
            for name in evaluated
        }
        recorder.record(int(folder.name), found[options.evaluation.network])
    if last := _last_evaluation(workdir, options.evaluation.network):
        recorder.record_errors(last)


def _last_evaluation(workdir: Path, network: Network) -> Evaluated | None:
    """What the run's last evaluation has written; None where it is not there, or damaged."""
    try:
        detections = json.loads((workdir / "detections.json").read_text())
        metrics = json.loads((workdir / "metrics.json").read_text())[network]
        return Evaluated(Metrics(**metrics), detections)
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("%s: errors are not recorded: the command eval writes what is missing. %s", workdir, error)
        return None


def _options(folder: Path, n_pictures: int | None) -> RunOptions:
    """Options of the run of a checkpoint, for one device."""
    options = from_config(RunOptions, checkpoint.read_meta(folder).config)
    pictures = n_pictures or options.report.pictures or ReportOptions().pictures
    return replace(options, mesh=MeshOptions(data=1), report=ReportOptions(pictures))


def _check_classes(folder: Path, dataset: DataSet) -> None:
    known = checkpoint.read_meta(folder).class_names
    if known != dataset.class_names:
        raise InputError(f"the data that {folder} was trained on have other classes now: {', '.join(known)} then.")
