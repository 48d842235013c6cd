"""Batches of a plan, read by worker processes."""

import contextlib
import functools
import itertools
import logging
import time
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from lad_jax.data.augment import Augmentation, draw_augmentation
from lad_jax.data.canvases import Canvas
from lad_jax.data.colours import recolour
from lad_jax.data.options import DataOptions
from lad_jax.data.pictures import Unreachable
from lad_jax.data.plan import Plan, PlannedBatch
from lad_jax.data.records import DataSet
from lad_jax.data.transforms import clip_boxes, flip_boxes, flip_picture, has_area, reduction
from lad_jax.data.views import whole_view
from lad_jax.data.workers import make_ahead
from lad_jax.errors import InputError
from lad_jax.types import Batch, GroundTruth, Pictures

_log = logging.getLogger(__name__)
Augment = Callable[[int, Int[np.ndarray, "2"]], Augmentation]
"""What is done to a picture, by its row in the batch and its height and width before it is resized [pixels]."""
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Pauses between the tries to read a picture's file, which a file system may lack for a while [seconds]."""
MAX_BAD_IN_A_ROW = 20
"""Number of pictures in a row that cannot be read which ends a run that skips them."""


def train_batches(
    dataset: DataSet,
    plan: Plan,
    options: DataOptions,
    *,
    start_step: int,
    num_steps: int,
    rows: Int[np.ndarray, " b"] | None = None,
) -> Generator[Batch, None, None]:
    """The batches of steps `start_step` … `start_step + num_steps - 1`; only `rows` of each, where they are given.

    A batch is a pure function of (plan, step): the same whatever `options.workers` and wherever a run started. A row
    is the same whichever others are read with it.

    Raises:
      InputError: a picture cannot be read, unless `options.on_bad_picture` is "skip": then its row has
        `valid` False and keeps its `position`; `MAX_BAD_IN_A_ROW` pictures in a row cannot be read; or workers
        die again and again.
    """
    make = functools.partial(_train_batch, dataset, plan, options, _all_or(rows, plan))
    return _limit_bad_pictures(make_ahead(make, range(start_step, start_step + num_steps), options.workers))


def eval_batches(
    dataset: DataSet, plan: Plan, options: DataOptions, *, rows: Int[np.ndarray, " b"] | None = None
) -> Generator[Batch, None, None]:
    """Batches of every picture of the plan once, canvas by canvas; rows that only fill a batch have `position` -1.

    Only `rows` of each batch are read, where they are given.

    Raises:
      InputError: see `train_batches`.
    """
    batches = plan.in_order()
    make = functools.partial(_eval_batch, dataset, plan, batches, options, _all_or(rows, plan))
    return _limit_bad_pictures(make_ahead(make, range(len(batches)), options.workers))


def started(batches: Generator[Batch, None, None]) -> Generator[Batch, None, None]:
    """The given batches; the first is made at once, and with it the workers start."""

    def from_the_first() -> Generator[Any, None, None]:
        with contextlib.closing(batches):
            first = list(itertools.islice(batches, 1))
            yield  # a generator that was not started would not close the other
            yield from first
            yield from batches

    ahead = from_the_first()
    next(ahead)
    return ahead


def _limit_bad_pictures(batches: Generator[Batch, None, None]) -> Generator[Batch, None, None]:
    """The given batches, until `MAX_BAD_IN_A_ROW` pictures could not be read, within and across batches."""
    bad = 0
    with contextlib.closing(batches):
        for batch in batches:
            for valid in batch.valid[batch.position >= 0].tolist():
                bad = 0 if valid else bad + 1
                if bad == MAX_BAD_IN_A_ROW:
                    raise InputError(
                        f"{bad} pictures that follow each other could not be read: are they still where config.data "
                        "says? The log names them."
                    )
            yield batch


def _all_or(rows: Int[np.ndarray, " b"] | None, plan: Plan) -> Int[np.ndarray, " b"]:
    return np.arange(plan.batch_size) if rows is None else rows


def _train_batch(dataset: DataSet, plan: Plan, options: DataOptions, rows: Int[np.ndarray, " b"], step: int) -> Batch:
    planned = _only(rows, plan.step(step))

    def augment(row: int, original: Int[np.ndarray, "2"]) -> Augmentation:
        return draw_augmentation(
            original,
            options,
            canvas=planned.canvas,
            short_side=planned.short_side,
            seed=plan.seed,
            step=step,
            row=int(rows[row]),
        )

    return make_batch(dataset, planned, plan.max_objects, options, augment)


def _eval_batch(
    dataset: DataSet,
    plan: Plan,
    batches: list[PlannedBatch],
    options: DataOptions,
    rows: Int[np.ndarray, " b"],
    number: int,
) -> Batch:
    planned = _only(rows, batches[number])

    def show_whole(row: int, original: Int[np.ndarray, "2"]) -> Augmentation:
        del row
        return Augmentation(whole_view(original, options, short_side=planned.short_side))

    return make_batch(dataset, planned, plan.max_objects, options, show_whole)


def _only(rows: Int[np.ndarray, " b"], planned: PlannedBatch) -> PlannedBatch:
    return planned._replace(positions=planned.positions[rows])


def make_batch(
    dataset: DataSet,
    planned: PlannedBatch,
    n_objects: int,
    options: DataOptions,
    augment: Augment,
) -> Batch:
    """Read, crop, resize, recolour, flip and pad pictures.

    Boxes are clipped to the resized picture or crop; one that clipping leaves without area is dropped from the truth.

    Args:
      planned: which pictures, on which canvas.
      n_objects: G.
      augment: gives what is done to each picture.

    Returns:
      A batch of numpy arrays, shapes depending on nothing but B, canvas and G.
    """
    canvas, positions = planned.canvas, planned.positions
    batch = _blank_batch(canvas, positions, n_objects)
    for row in np.flatnonzero(positions >= 0).tolist():
        _fill_row(batch, row, dataset, options, augment)
    return batch


def blank_batches(plan: Plan) -> dict[Canvas, Batch]:
    """Batches without pictures, one for each canvas of a plan, to compile programs for."""
    nobody = np.full(plan.batch_size, -1)
    return {canvas: _blank_batch(canvas, nobody, plan.max_objects) for canvas in plan.canvases}


def _blank_batch(canvas: Canvas, positions: Int[np.ndarray, " B"], n_objects: int) -> Batch:
    rows = len(positions)
    # The system gives zeros: writing 0 takes as long as a copy.
    images: Any = np.zeros((rows, *canvas, 3), np.uint8)
    return Batch(
        pictures=Pictures(images, _full((rows, 2), canvas, np.int32), _full((rows, 2), 1, np.float32)),
        truth=GroundTruth(
            boxes=_full((rows, n_objects, 4), 0, np.float32),
            labels=_full((rows, n_objects), 0, np.int32),
            mask=_full((rows, n_objects), False, bool),
            crowd=_full((rows, n_objects), False, bool),
        ),
        position=_full((rows,), positions, np.int32),
        valid=_full((rows,), False, bool),
    )


def _full(shape: tuple[int, ...], value: Any, dtype: type) -> Any:
    """A numpy array for a noun whose fields are declared as jax arrays, as it becomes one on the device."""
    return np.full(shape, value, dtype)


def _fill_row(batch: Batch, row: int, dataset: DataSet, options: DataOptions, augment: Augment) -> None:
    position = int(batch.position[row])
    record = dataset.records[position]
    original = np.array([record.height, record.width])
    view, flip, colours = augment(row, original)
    scale = view.scale(original)
    batch.pictures.image_hw[row], batch.pictures.scale[row] = view.hw, scale[::-1]
    try:
        factor = reduction(original, view.resized) if options.decode_reduced else 1
        picture = view.of(_read(dataset, position, factor))
    except InputError as error:
        if options.on_bad_picture == "stop":
            raise
        _log.warning("skipped: %s", error)
        return
    if colours is not None:
        picture = recolour(picture, colours)
    boxes = (record.boxes * np.tile(scale[::-1], 2) - np.tile(view.offset[::-1], 2)).astype(np.float32)
    height, width = view.hw.tolist()
    if flip:
        picture, boxes = flip_picture(picture), flip_boxes(boxes, width)
    boxes = clip_boxes(boxes, view.hw)
    kept = has_area(boxes)
    count = int(kept.sum())
    batch.pictures.images[row, :height, :width] = picture
    batch.truth.boxes[row, :count] = boxes[kept]
    batch.truth.labels[row, :count] = record.labels[kept]
    batch.truth.crowd[row, :count] = record.crowd[kept]
    batch.truth.mask[row, :count] = True
    batch.valid[row] = True


def _read(dataset: DataSet, position: int, factor: int) -> UInt8[np.ndarray, "h w 3"]:
    """Read a picture; where its file cannot be had, try again after each of `PAUSES_S`.

    Args:
      position: place in the data set.
      factor: factor that it may be decoded smaller by.

    Raises:
      InputError: see `DataSet.read`.
    """
    for number, pause in enumerate(PAUSES_S, start=1):
        try:
            return dataset.read(position, factor)
        except Unreachable as error:
            _log.warning("%s Trying again in %g s (%d of %d).", error, pause, number, len(PAUSES_S))
            time.sleep(pause)
    return dataset.read(position, factor)
