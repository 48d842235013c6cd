"""The three modes of `main.py`."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from lad_jax.data import DataSet, open_dataset, open_test
from lad_jax.errors import InputError
from lad_jax.evaluation.coco import format_table, write_detections, write_metrics, write_submission
from lad_jax.evaluation.evaluator import Evaluator
from lad_jax.evaluation.runner import make_detector
from lad_jax.models import Detector
from lad_jax.options import RunOptions
from lad_jax.predict import find_pictures, predict_files
from lad_jax.train import checkpoint, hosts
from lad_jax.train.loop import train
from lad_jax.train.sharding import check_rows, make_mesh, placement, replicate
from lad_jax.types import Network

__all__ = ["evaluate", "predict", "train"]
_log = logging.getLogger(__name__)


def evaluate(options: RunOptions, workdir: Path) -> None:
    """Evaluate every network that the run in `workdir` trained, by its best checkpoint (else the newest).

    Prints COCO's numbers, and writes `metrics.json` (by network) and, for `evaluation.network`, `detections.json`.
    With `evaluation.split=test-dev` see `submit` instead.

    Raises:
      InputError: no checkpoint, or one of another architecture or other classes.
    """
    if options.evaluation.split == "test-dev":
        return submit(options, workdir)
    evaluator, variables = _load(options, workdir, open_dataset(options.data, "val"), options.policy.trained)
    results = evaluator(variables)
    if not hosts.is_writer():
        return
    for name, result in results.items():
        print(f"\n{name}\n{format_table(result.metrics)}")
    write_metrics(workdir, {name: result.metrics for name, result in results.items()})
    write_detections(workdir, results[options.evaluation.network].detections)


def submit(options: RunOptions, workdir: Path) -> None:
    """Write what `evaluation.network` detects on test-dev into `workdir`, as COCO's server takes it.

    Raises:
      InputError: as `evaluate`; or the data have no test-dev.
    """
    network = options.evaluation.network
    evaluator, variables = _load(options, workdir, open_test(options.data), (network,))
    detections = evaluator.detect(network, variables[network])
    if not hosts.is_writer():
        return
    archive = write_submission(workdir, detections)
    print(f"\n{archive}\nUpload this file at https://cocodataset.org/#upload (detection, boxes, test-dev2017).")


def _load(
    options: RunOptions, workdir: Path, dataset: DataSet, networks: tuple[Network, ...]
) -> tuple[Evaluator, dict[Network, Any]]:
    """An evaluator on the data set, and variables of networks of the run in `workdir`, on the devices."""
    mesh = make_mesh(options.mesh, {"config.evaluation.batch_size": options.evaluation.batch_size})
    models = {name: Detector(options.model_of(name), len(dataset.class_names)) for name in networks}
    devices = placement(mesh, options.evaluation.batch_size)
    evaluator = Evaluator(models, dataset, options.data, options.evaluation, devices)
    check_rows(evaluator.canvases, mesh)
    folder = checkpoint.find(workdir)
    _log.info("evaluating %s on %d pictures", folder, len(dataset.records))
    variables = {
        name: checkpoint.load_network(folder, name, models[name], dataset.class_names, options.key_of(name))
        for name in networks
    }
    return evaluator, replicate(variables, mesh)


def predict(options: RunOptions, workdir: Path, images: str, output: Path) -> None:
    """Detect objects in pictures; writes them with boxes, and `predictions.json`, into `output`.

    The network, and how pictures are resized for it, are those of the run in `workdir`; `options` gives only how
    predictions become detections.

    Raises:
      InputError: no checkpoint, no picture, or one that cannot be read; or several processes.
    """
    if jax.process_count() > 1:
        raise InputError(f"--mode=predict is for one process, but there are {jax.process_count()}: start it alone.")
    paths = find_pictures(images)
    model, variables, trained = checkpoint.load(workdir, options.evaluation.network)
    meta = checkpoint.read_meta(checkpoint.find(workdir))
    written = predict_files(
        paths,
        make_detector(model.apply, model.options.strides, model.options.anchor_scale, options.evaluation.postprocess),
        jax.device_put(variables),
        options=replace(trained.data, on_bad_picture=options.data.on_bad_picture),
        class_names=meta.class_names,
        category_ids=meta.category_ids,
        out_dir=output,
        place=jax.device_put,
        batch_size=options.evaluation.batch_size,
    )
    print(f"{len(paths)} picture(s); results in {written}")
