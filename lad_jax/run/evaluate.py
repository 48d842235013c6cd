"""Evaluation of the networks that a run has trained."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from lad_jax import hosts
from lad_jax.data import DataSet, fingerprint, open_dataset, open_test
from lad_jax.evaluation.coco import write_detections, write_metrics, write_submission
from lad_jax.evaluation.errors import find_errors
from lad_jax.evaluation.evaluator import Evaluated, Evaluator
from lad_jax.evaluation.table import format_table
from lad_jax.mesh import make_mesh, replicate
from lad_jax.models.backbones import check_canvases
from lad_jax.options import RunOptions
from lad_jax.paths import check_writable
from lad_jax.run import checkpoint
from lad_jax.run.build import make_model
from lad_jax.run.meta import as_json
from lad_jax.train.state import Variables
from lad_jax.types import Network

_log = logging.getLogger(__name__)


def evaluate(options: RunOptions, workdir: Path) -> None:
    """Evaluate every network that the run in `workdir` trained, by its best checkpoint (else the newest).

    Prints COCO's numbers and the best score threshold, and writes `metrics.json` (by network) and, for
    `evaluation.network`, `detections.json`. With `evaluation.split=test-dev` see `submit` instead.

    Raises:
      InputError: no checkpoint, or one of another architecture or other classes; pictures too small for a network; or
        processes that are not about to do the same.
    """
    if options.evaluation.split == "test-dev":
        return submit(options, workdir)
    dataset = open_dataset(options.data, "val")
    evaluator, variables = _load(options, workdir, dataset, options.roles.trained)
    results = evaluator(variables)
    if not hosts.is_writer():
        return
    write_metrics(workdir, {name: result.metrics for name, result in results.items()})
    write_detections(workdir, results[options.evaluation.network].detections)
    _print(results, dataset, most=options.evaluation.postprocess.counted)
    print(f"\nTo see why, and what goes wrong: lad-jax report {workdir}")


def submit(options: RunOptions, workdir: Path) -> None:
    """Write what `evaluation.network` detects on test-dev into `workdir`, as COCO's server takes it.

    Raises:
      InputError: see `evaluate`; or the data have no test-dev.
    """
    network = options.evaluation.network
    evaluator, variables = _load(options, workdir, open_test(options.data), (network,))
    detections = evaluator.detect(network, variables[network])
    if not hosts.is_writer():
        return
    archive = write_submission(workdir, detections)
    print(f"\n{archive}\nUpload this file at https://cocodataset.org/#upload (detection, boxes, test-dev2017).")


def _print(results: Mapping[Network, Evaluated], dataset: DataSet, *, most: int) -> None:
    """Print the table of each network, of `most` detections a picture."""
    truth, names, ids = dataset.ground_truth(), dataset.class_names, dataset.category_ids
    for network, result in results.items():
        errors = find_errors(truth, result.detections, names, ids, most=most)
        print(f"\n{network}\n{format_table(result.metrics, errors)}")


def _load(
    options: RunOptions, workdir: Path, dataset: DataSet, networks: tuple[Network, ...]
) -> tuple[Evaluator, dict[Network, Any]]:
    """An evaluator on the data set, and variables of networks of the run in `workdir`, on the devices."""
    mesh = make_mesh(options.mesh, {"config.evaluation.batch_size": options.evaluation.batch_size})
    models = {name: make_model(options, name, len(dataset.class_names)) for name in networks}
    evaluator = Evaluator(models, dataset, options.data, options.evaluation, mesh)
    for name, model in models.items():
        check_canvases(evaluator.canvases, model.options.backbone, f"{options.key_of(name)}.backbone")
    folder = checkpoint.find(workdir)
    check_writable(workdir, "workdir")
    _log.info("evaluating %s on %d pictures", folder, len(dataset.records))
    variables = {
        name: checkpoint.load_network(folder, name, models[name], dataset.class_names, options.key_of(name))
        for name in networks
    }
    if jax.process_count() > 1:
        hosts.check_alike(_facts(options, dataset, variables))
    return evaluator, replicate(variables, mesh)


def _facts(options: RunOptions, dataset: DataSet, variables: Mapping[Network, Variables]) -> dict[str, Any]:
    """All that the processes of an evaluation must have alike, by name."""
    return {
        "configs": as_json(options),
        "versions of jax": jax.__version__,
        "pictures to evaluate on": (dataset.class_names, dataset.category_ids, fingerprint(dataset.records)),
        "checkpoints": [checkpoint.digest(of_network) for of_network in variables.values()],
    }
