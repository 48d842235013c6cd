"""Evaluation of networks on a data set: one compiled program for each network and canvas, kept for the next time."""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import numpy as np
from jax.sharding import Mesh
from jaxtyping import UInt8

from lad_jax.data import DataOptions, DataSet, eval_batches, make_eval_plan, started
from lad_jax.data.canvases import Canvas
from lad_jax.errors import InputError
from lad_jax.evaluation.coco import Metrics, evaluate
from lad_jax.evaluation.detector import detect, make_open_detector
from lad_jax.evaluation.postprocess import PostprocessOptions
from lad_jax.fields import check_range
from lad_jax.mesh import local_rows, sharded
from lad_jax.models import Detector
from lad_jax.programs import Job, Programs, blank_shapes, compiling
from lad_jax.progress import activities
from lad_jax.types import Detections, Network, Pictures, Predictions
from lad_jax.visualize import draw_boxes, side_by_side

Observe = Callable[[Network, int, Predictions], None]
"""A function that is given each batch's predictions: network, number of the batch from 0, and what it predicts."""


def _ignore(network: Network, number: int, predictions: Predictions) -> None:
    """Nobody observes."""


@dataclasses.dataclass(frozen=True)
class EvaluationOptions:
    """Options of evaluation and prediction."""

    network: Network = "student"
    """Network whose AP picks the best checkpoint, and that `predict` and `load` take."""
    split: Literal["val", "test-dev"] = "val"
    """Pictures that `eval` evaluates. `test-dev` has no annotations: its detections are for COCO's server."""
    batch_size: int = 8
    """Pictures of a batch, over all devices."""
    pictures: int = 4
    """Number of validation pictures with boxes for TensorBoard."""
    postprocess: PostprocessOptions = PostprocessOptions()

    def __post_init__(self) -> None:
        check_range(self, "batch_size", least=1)
        check_range(self, "pictures", least=0)


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """Detections of a network and their metrics."""

    metrics: Metrics
    detections: list[dict[str, Any]]
    """Detections in COCO's results format."""


class Evaluator:
    """An evaluation on a whole data set, called with the variables of networks."""

    def __init__(
        self,
        models: Mapping[Network, Detector],
        dataset: DataSet,
        data: DataOptions,
        options: EvaluationOptions,
        mesh: Mesh,
    ) -> None:
        self._dataset, self._data, self._options, self._mesh = dataset, data, options, mesh
        self._plan = make_eval_plan(dataset, data, batch_size=options.batch_size)
        shapes = blank_shapes(self._plan, sharded(mesh))
        pictures = {canvas: batch.pictures for canvas, batch in shapes.items()}
        self._detectors = {
            name: Programs(f"evaluation of the {name}", make_open_detector(model, options.postprocess, mesh), pictures)
            for name, model in models.items()
        }

    @property
    def canvases(self) -> tuple[Canvas, ...]:
        """Canvases of the data set's pictures."""
        return self._plan.canvases

    @property
    def n_programs(self) -> int:
        """Number of programs that are compiled."""
        return sum(map(len, self._detectors.values()))

    @property
    def n_pictures(self) -> int:
        """Number of pictures."""
        return len(self._dataset.records)

    @property
    def n_batches(self) -> int:
        """Number of batches of each network."""
        return self._plan.steps_per_epoch

    def jobs(self, variables: Mapping[Network, Any]) -> list[Job]:
        """Compilations that have not been done. `variables`: those of the networks, or their shapes."""
        return [job for name, detector in self._detectors.items() for job in detector.jobs(variables[name])]

    def __call__(self, variables: Mapping[Network, Any], observe: Observe = _ignore) -> dict[Network, Evaluated]:
        """Detections and COCO metrics of each network, whose predictions are shown to `observe`."""
        return {name: self._one(name, v, observe) for name, v in variables.items()}

    def _one(self, network: Network, variables: Any, observe: Observe) -> Evaluated:
        dataset = self._dataset
        detections = self.detect(network, variables, observe=observe)
        names, ids, most = dataset.class_names, dataset.category_ids, self._options.postprocess.counted
        metrics = evaluate(dataset.ground_truth(), detections, names, ids, most=most)
        return Evaluated(metrics, detections)

    def detect(
        self, network: Network, variables: Any, *, at_most: int | None = None, observe: Observe = _ignore
    ) -> list[dict[str, Any]]:
        """Detections of one network in COCO's results format, on the first batches only if their number is given."""
        detector, mesh, numbers = self._detectors[network], self._mesh, itertools.count()

        def detections(variables: Any, pictures: Pictures) -> Detections:
            found, predictions = detector(variables, pictures)
            observe(network, next(numbers), predictions)
            return found

        with compiling(detector.jobs(variables)):
            read = started(
                eval_batches(self._dataset, self._plan, self._data, rows=local_rows(mesh, self._options.batch_size))
            )
        with contextlib.closing(read):
            batches = activities(read, f"the {network}'s evaluation, batch")
            return detect(detections, variables, self._dataset, itertools.islice(batches, at_most), mesh)

    def pictures(self, detections: list[dict[str, Any]]) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        """Drawings of the data set's first pictures, detections beside ground truth."""
        for position in range(min(self._options.pictures, len(self._dataset.records))):
            # An unreadable one was reported by the evaluation, or has ended it.
            with contextlib.suppress(InputError):
                yield draw_results(self._dataset, position, detections)


def draw_results(
    dataset: DataSet, position: int, detections: list[dict[str, Any]], *, least_score: float = 0.5
) -> UInt8[np.ndarray, "H W 3"]:
    """A picture of the data set drawn twice: annotated boxes, and detections of at least `least_score`."""
    image, record = dataset.read(position), dataset.records[position]
    found = [d for d in detections if d["image_id"] == record.id and d["score"] >= least_score]
    xywh = np.array([d["bbox"] for d in found], np.float32).reshape(-1, 4)
    boxes = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    labels = np.array([dataset.category_ids.index(d["category_id"]) for d in found], np.int32)
    scores = np.array([d["score"] for d in found], np.float32)
    truth = draw_boxes(image, record.boxes, record.labels, None, dataset.class_names)
    detected = draw_boxes(image, boxes, labels, scores, dataset.class_names)
    return side_by_side([truth, detected], ["ground truth", f"detections, score >= {least_score}"])
