"""Detections of batches of pictures: the one seam where per-image functions meet the batch."""

import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float

from lad_jax.data import DataSet
from lad_jax.evaluation.postprocess import PostprocessOptions, postprocess
from lad_jax.mesh import data_parallel, share, split_batch
from lad_jax.models import Detector, ModelOptions
from lad_jax.priors import make_priors, within
from lad_jax.types import Batch, Detections, Pictures, Predictions

_log = logging.getLogger(__name__)


def make_detector(model: Detector, options: PostprocessOptions, mesh: Mesh | None = None) -> Any:
    """A jitted function from a network's variables and `Pictures` to `Detections`, one program per canvas.

    Args:
      model: the network.
      options: of `postprocess`.
      mesh: the devices that the pictures are divided among; none: one device.
    """

    def detector(variables: Any, pictures: Pictures) -> Detections:
        predictions: Any = model.apply(variables, pictures.images, pictures.image_hw)
        return finish(predictions, pictures, model.options, options)

    return jax.jit(detector if mesh is None else data_parallel(detector, mesh))


def make_open_detector(model: Detector, options: PostprocessOptions, mesh: Mesh) -> Any:
    """`make_detector`, whose answer is the `Detections` and the `Predictions` that they are from."""

    def detector(variables: Any, pictures: Pictures) -> tuple[Detections, Predictions]:
        predictions: Any = model.apply(variables, pictures.images, pictures.image_hw)
        return finish(predictions, pictures, model.options, options), predictions

    return jax.jit(data_parallel(detector, mesh))


def finish(
    predictions: Predictions, pictures: Pictures, model: ModelOptions, options: PostprocessOptions
) -> Detections:
    """Detections of a batch of pictures, in pixels of the originals, from predictions: `postprocess` of each.

    Args:
      predictions: with a leading batch axis.
      pictures: those that the predictions are for.
      model: options of the network: they say where its priors lie.
      options: thresholds and sizes.
    """
    priors = make_priors(pictures.canvas, model.strides, model.anchor_scale)
    valid = jax.vmap(lambda hw: within(priors, hw).valid)(pictures.image_hw)
    one = functools.partial(postprocess, level_sizes=priors.levels.sizes, options=options)
    return jax.vmap(one)(predictions, valid, pictures.image_hw, pictures.scale)


def detect(
    detector: Callable[[Any, Pictures], Detections],
    variables: Any,
    dataset: DataSet,
    batches: Iterable[Batch],
    mesh: Mesh,
) -> list[dict[str, Any]]:
    """Detections of all pictures in COCO's results format, in the order of `batches` and by falling score in each.

    Rows that only fill a batch are left out. So are pictures that could not be read: they are named in a warning
    and stay in the ground truth, where their objects count as missed.

    Args:
      detector: from `make_detector`.
      variables: the network's.
      dataset: gives the original ids.
      batches: on the host, each picture once; each of several processes has its rows of every batch.
      mesh: the devices of all processes.

    Returns:
      One dict per detection: `image_id`, and what `coco_results` gives.
    """
    to_every_process = share(mesh)

    def found(batch: Batch) -> tuple[Any, Any, Detections]:
        return to_every_process((batch.position, batch.valid, detector(variables, batch.pictures)))

    results = []
    for on_devices in _one_behind(found(split_batch(batch, mesh)) for batch in batches):
        positions, valid, detections = jax.device_get(on_devices)
        for row, position in enumerate(positions.tolist()):
            if valid[row]:
                boxes, scores, labels = valid_rows(jax.tree.map(lambda x, row=row: x[row], detections))
                ids = [dataset.category_ids[label] for label in labels.tolist()]
                image_id = dataset.records[position].id
                results += [{"image_id": image_id, **result} for result in coco_results(boxes, scores, ids)]
            elif position >= 0:
                _log.warning("image id %s could not be read: its objects count as missed", dataset.records[position].id)
    return results


def valid_rows(detections: Detections) -> tuple[Any, Any, Any]:
    """Boxes, scores and labels of the valid detections of one picture (numpy)."""
    valid = detections.valid
    return detections.boxes[valid], detections.scores[valid], detections.classes[valid]


def coco_results(
    boxes: Float[np.ndarray, "n 4"], scores: Float[np.ndarray, " n"], category_ids: Sequence[int]
) -> list[dict[str, Any]]:
    """The detections of one picture in COCO's results format, but for the picture's id.

    Args:
      boxes: x1, y1, x2, y2 [pixels of the picture].
      scores: 0…1.
      category_ids: of each detection.

    Returns:
      One dict per detection: `category_id`, `bbox` as x, y, width, height (three decimals), `score` (six decimals).
    """
    corner, opposite = boxes[:, :2], boxes[:, 2:]
    return [
        {
            "category_id": category,
            "bbox": [round(value, 3) for value in (*xy, *wh)],
            "score": round(score, 6),
        }
        for category, xy, wh, score in zip(
            category_ids, corner.tolist(), (opposite - corner).tolist(), scores.tolist(), strict=True
        )
    ]


def _one_behind(items: Iterator[Any]) -> Iterator[Any]:
    """Items, each after its successor was asked for: the device works on that while the host reads this."""
    previous = next(items, None)
    if previous is None:
        return
    for item in items:
        yield previous
        previous = item
    yield previous
