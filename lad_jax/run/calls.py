"""The call of a detector with pictures: what one that is read from a checkpoint and an exported one share."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax

from lad_jax.data.canvases import Canvas
from lad_jax.run.pictures import Picture, batches, is_sequence, pictures_of
from lad_jax.run.result import Result, make_results
from lad_jax.types import Detections, Pictures
from lad_jax.visualize import Image

Detected = Iterator[tuple[int, Image, Result]]
"""Pictures with their numbers and detections, in any order."""


def call(
    detect: Callable[[Sequence[Picture]], Detected], pictures: Any, threshold: float | None, max_detections: int | None
) -> Any:
    """The `Result` of one picture, or a list of those of a sequence.

    Args:
      detect: gives each picture of a sequence, numbered by its place, with its detections.
      pictures: one picture or a sequence.
      threshold, max_detections: see `Result.best`.
    """
    if not is_sequence(pictures):
        return call(detect, [pictures], threshold, max_detections)[0]
    found = {number: result for number, _, result in detect(pictures)}
    return [found[number].best(threshold, max_detections) for number in range(len(found))]


def detect(
    program: Callable[[Pictures], Detections],
    images: Iterable[tuple[int, Image]],
    canvases: tuple[Canvas, ...],
    batch_size: int,
    class_names: Sequence[str],
    category_ids: Sequence[int],
    *,
    short_side: int,
    long_side: int,
) -> Detected:
    """Numbered RGB pictures with their detections, as their batches are full: in another order than given.

    Args:
      program: detects the objects of a batch of pictures, which are on the device.
      images: numbers and pictures, taken one by one as they are needed.
      canvases: one of them holds each picture once it is resized.
      batch_size: number of pictures of a batch, which is filled up if need be.
      class_names, category_ids: of the classes by label.
      short_side, long_side: bounds of the resize [pixels].
    """
    sides = {"short_side": short_side, "long_side": long_side}
    for canvas, members in batches(images, canvases, batch_size, **sides):
        batch = pictures_of([image for _, image in members], batch_size, canvas, **sides)
        found = jax.device_get(program(jax.device_put(batch)))
        results = make_results(found, len(members), class_names, category_ids)
        for (number, image), result in zip(members, results, strict=True):
            yield number, image, result
