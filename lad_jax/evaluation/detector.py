"""Detect the objects of a data set. The one seam where per-image functions meet the batch."""

import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax

from lad_jax.evaluation.postprocess import PostprocessOptions, postprocess
from lad_jax.priors import make_priors, within
from lad_jax.types import Batch, Detections, Predictions

Apply = Callable[..., Any]
"""`apply(variables, images [B,H,W,3] uint8, image_hw [B,2]) -> Predictions [B, ...]`."""
Detector = Callable[[Any, Batch], Detections]
"""`detector(variables, batch) -> Detections [B, ...]`, jitted: one program per canvas."""

_log = logging.getLogger(__name__)


def make_detector(
    apply: Apply,
    strides: tuple[int, ...],
    anchor_scale: float,
    options: PostprocessOptions,
    *,
    spread: Callable[[Detector], Detector] = lambda detector: detector,
) -> Detector:
    """A jitted function from variables and a batch to detections in pixels of the original pictures.

    Args:
      apply: the network: `apply(variables, images, image_hw) -> Predictions`, all with the batch axis.
      strides: pixels per cell of each pyramid level of the network.
      anchor_scale: side of its anchors in strides.
      options: of `postprocess`.
      spread: what runs a function of variables and a batch on several devices.
    """

    def detector(variables: Any, batch: Batch) -> Detections:
        predictions: Predictions = apply(variables, batch.images, batch.image_hw)
        canvas = (batch.images.shape[1], batch.images.shape[2])
        priors = make_priors(canvas, strides, anchor_scale)
        valid = jax.vmap(lambda hw: within(priors, hw).valid)(batch.image_hw)
        finish = functools.partial(postprocess, level_sizes=priors.levels.sizes, options=options)
        return jax.vmap(finish)(predictions, valid, batch.image_hw, batch.scale)

    return jax.jit(spread(detector))


def detect(
    detector: Detector,
    variables: Any,
    dataset: Any,
    batches: Iterable[Batch],
    place: Callable[[Batch], Batch],
    share: Callable[[Any], Any],
) -> list[dict[str, Any]]:
    """Detections of all pictures in COCO's results format, in the order of `batches` and by falling score in each.

    Rows that only fill a batch are left out. So are pictures that could not be read: they are named in a warning
    and stay in the ground truth, where their objects count as missed.

    Args:
      detector: from `make_detector`.
      variables: the network's.
      dataset: `records[position].id` and `category_ids[label]` give the original ids.
      batches: on the host, each picture once; of several processes each has its own rows of every batch.
      place: puts a batch on the devices; the whole, where the processes have parts.
      share: gives what lies on the devices of all processes to each of them.

    Returns:
      One dict per detection: `image_id`, `category_id`, `bbox` as x, y, width, height in pixels of the original
      picture (three decimals), `score` (six decimals).
    """

    def found(batch: Batch) -> tuple[Any, Any, Detections]:
        return share((batch.position, batch.valid, detector(variables, batch)))

    results = []
    for on_devices in _one_behind(found(place(batch)) for batch in batches):
        positions, valid, detections = jax.device_get(on_devices)
        for row, position in enumerate(positions.tolist()):
            if valid[row]:
                one = jax.tree.map(lambda x, row=row: x[row], detections)
                image_id = dataset.records[position].id
                results += [{"image_id": image_id, **result} for result in coco_results(one, dataset.category_ids)]
            elif position >= 0:
                _log.warning("image id %s could not be read: its objects count as missed", dataset.records[position].id)
    return results


def coco_results(detections: Detections, category_ids: Sequence[int]) -> list[dict[str, Any]]:
    """The valid detections of one image (numpy) in COCO's results format, but for the image's id."""
    kept = detections.valid
    corner, opposite = detections.boxes[kept, :2], detections.boxes[kept, 2:]
    return [
        {
            "category_id": category_ids[label],
            "bbox": [round(value, 3) for value in (*xy, *wh)],
            "score": round(score, 6),
        }
        for xy, wh, label, score in zip(
            corner.tolist(),
            (opposite - corner).tolist(),
            detections.classes[kept].tolist(),
            detections.scores[kept].tolist(),
            strict=True,
        )
    ]


def _one_behind(items: Iterator[Any]) -> Iterator[Any]:
    """The items, each after its successor was asked for: the device works on that while the host reads this."""
    previous = next(items, None)
    if previous is None:
        return
    for item in items:
        yield previous
        previous = item
    yield previous
