"""The call of a detector with pictures: what one that is read from a checkpoint and an exported one share."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax

from lad_jax.data.canvases import Canvas
from lad_jax.errors import InputError
from lad_jax.run.pictures import Picture, batches, is_sequence, pictures_of
from lad_jax.run.result import Result, make_results
from lad_jax.types import Detections, Pictures
from lad_jax.visualize import Image

Detected = Iterator[tuple[int, Image, Result]]
"""Pictures with their numbers and detections, in any order."""


def call(
    detect: Callable[[Sequence[Picture], int], Detected],
    pictures: Any,
    threshold: float | None,
    max_detections: int | None,
    batch_size: int | None,
    usual_batch: int,
) -> Any:
    """The `Result` of one picture, or a list of those of a sequence.

    Args:
      detect: gives each picture of a sequence, numbered by its place, with its detections; in batches of a size.
      pictures: one picture or a sequence.
      threshold, max_detections: see `Result.best`.
      batch_size: number of pictures of a batch; None: `usual_batch`, or the number of pictures where that is smaller.

    Raises:
      InputError: a threshold or number that nothing can have.
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise InputError(f"threshold is {threshold}: give a score, 0 to 1, or leave it out.")
    for name, number in (("max_detections", max_detections), ("batch_size", batch_size)):
        if number is not None and number < 1:
            raise InputError(f"{name} is {number}: give at least 1, or leave it out.")
    given = pictures if is_sequence(pictures) else [pictures]
    size = batch_size or max(1, min(usual_batch, len(given)))
    found = {number: result for number, _, result in detect(given, size)}
    results = [found[number].best(threshold, max_detections) for number in range(len(found))]
    return results if is_sequence(pictures) else results[0]


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
