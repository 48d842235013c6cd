"""From a plan to batches, read by worker processes."""

import contextlib
import functools
import gc
import logging
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import cv2
import grain
import numpy as np
from absl import flags
from jaxtyping import Int

from lad_jax.data.augment import AS_IT_IS, Augmentation, draw_augmentation
from lad_jax.data.canvases import Canvas
from lad_jax.data.options import DataOptions
from lad_jax.data.plan import Plan, PlannedBatch
from lad_jax.data.records import DataSet
from lad_jax.data.transforms import clip_boxes, cut, fitted_hw, flip_boxes, flip_picture, has_area, resize, resized_hw
from lad_jax.errors import InputError
from lad_jax.types import Batch, GroundTruth

_log = logging.getLogger(__name__)


def train_batches(
    dataset: DataSet, plan: Plan, options: DataOptions, *, start_step: int, num_steps: int
) -> Generator[Batch, None, None]:
    """The batches of steps `start_step` … `start_step + num_steps - 1`.

    Each is a pure function of (plan, step): the same whatever `options.workers` and wherever a run started.

    Raises:
      InputError: a picture cannot be read, unless `options.on_bad_picture` is "skip": then its row has
        `valid` False and keeps its `position`.
    """
    make = functools.partial(_train_batch, dataset, plan, options)
    return _read(make, range(start_step, start_step + num_steps), options.workers)


def eval_batches(dataset: DataSet, plan: Plan, options: DataOptions) -> Generator[Batch, None, None]:
    """Every picture of the plan exactly once, canvas by canvas; rows that only fill a batch have `position` -1.

    Raises:
      InputError: as `train_batches`.
    """
    batches = plan.in_order()
    make = functools.partial(_eval_batch, dataset, plan, batches, options)
    return _read(make, range(len(batches)), options.workers)


def _train_batch(dataset: DataSet, plan: Plan, options: DataOptions, step: int) -> Batch:
    planned = plan.step(step)
    augmentations = [
        draw_augmentation(_original_hw(dataset, position), options, seed=plan.seed, step=step, row=row)
        for row, position in enumerate(planned.positions.tolist())
    ]
    return make_batch(dataset, planned, plan.max_objects, options, augmentations)


def _eval_batch(dataset: DataSet, plan: Plan, batches: list[PlannedBatch], options: DataOptions, number: int) -> Batch:
    return make_batch(dataset, batches[number], plan.max_objects, options, [AS_IT_IS] * plan.batch_size)


def _original_hw(dataset: DataSet, position: int) -> Int[np.ndarray, "2"]:
    record = dataset.records[position]
    return np.array([record.height, record.width])


def make_batch(
    dataset: DataSet,
    planned: PlannedBatch,
    n_objects: int,
    options: DataOptions,
    augmentations: Sequence[Augmentation],
) -> Batch:
    """Read, crop, resize, flip and pad pictures.

    Boxes are clipped to the resized picture or part of a picture; one that clipping leaves without area is dropped
    from the truth.

    Args:
      planned: which pictures, how large, on which canvas.
      n_objects: G.
      augmentations: of each row.

    Returns:
      A batch of numpy arrays, shapes depending on nothing but B, canvas and G.
    """
    canvas, positions = planned.canvas, planned.positions
    batch = _blank_batch(canvas, positions, n_objects)
    for row in np.flatnonzero(positions >= 0).tolist():
        _fill_row(batch, row, dataset, options, planned.short_side, augmentations[row])
    return batch


def blank_batches(plan: Plan) -> dict[Canvas, Batch]:
    """A batch without pictures for each canvas of a plan: what programs are compiled for."""
    nobody = np.full(plan.batch_size, -1)
    return {canvas: _blank_batch(canvas, nobody, plan.max_objects) for canvas in plan.canvases}


def _blank_batch(canvas: Canvas, positions: Int[np.ndarray, " B"], n_objects: int) -> Batch:
    rows = len(positions)
    pictures: Any = np.zeros((rows, *canvas, 3), np.uint8)  # takes no memory before it is written to
    return Batch(
        images=pictures,
        truth=GroundTruth(
            boxes=_full((rows, n_objects, 4), 0, np.float32),
            labels=_full((rows, n_objects), 0, np.int32),
            mask=_full((rows, n_objects), False, bool),
            crowd=_full((rows, n_objects), False, bool),
        ),
        image_hw=_full((rows, 2), canvas, np.int32),
        original_hw=_full((rows, 2), canvas, np.int32),
        scale=_full((rows, 2), 1, np.float32),
        position=_full((rows,), positions, np.int32),
        valid=_full((rows,), False, bool),
    )


def _full(shape: tuple[int, ...], value: Any, dtype: type) -> Any:
    """A numpy array for a noun whose fields are declared as jax arrays, as it becomes one on the device."""
    return np.full(shape, value, dtype)


def _fill_row(
    batch: Batch, row: int, dataset: DataSet, options: DataOptions, short_side: int, augmentation: Augmentation
) -> None:
    flip, crop = augmentation
    position = int(batch.position[row])
    record, original = dataset.records[position], _original_hw(dataset, position)
    if crop is None:
        hw = resized_hw(original, short_side=short_side, long_side=options.long_side)
        scale, offset = hw / original, np.zeros(2)
    else:  # of another shape than the pictures that the canvas is for
        canvas = (batch.images.shape[1], batch.images.shape[2])
        hw = fitted_hw(crop.hw, canvas, short_side=short_side, long_side=options.long_side)
        scale, offset = crop.resized / original * hw / crop.hw, crop.corner * hw / crop.hw
    batch.image_hw[row], batch.original_hw[row], batch.scale[row] = hw, original, scale[::-1]
    try:
        picture = dataset.read(position)
    except InputError as error:
        if options.on_bad_picture == "stop":
            raise
        _log.warning("skipped: %s", error)
        return
    if crop is not None:
        picture = cut(resize(picture, crop.resized), crop.corner, crop.hw)
    picture = resize(picture, hw)
    boxes = (record.boxes * np.tile(scale[::-1], 2) - np.tile(offset[::-1], 2)).astype(np.float32)
    if flip:
        picture, boxes = flip_picture(picture), flip_boxes(boxes, int(hw[1]))
    boxes = clip_boxes(boxes, hw)
    kept = has_area(boxes)
    count = int(kept.sum())
    height, width = hw
    batch.images[row, :height, :width] = picture
    batch.truth.boxes[row, :count] = boxes[kept]
    batch.truth.labels[row, :count] = record.labels[kept]
    batch.truth.crowd[row, :count] = record.crowd[kept]
    batch.truth.mask[row, :count] = True
    batch.valid[row] = True


def _read(make: Callable[[int], Batch], numbers: range, workers: int) -> Generator[Batch, None, None]:
    """`make(number)` for each of `numbers`, in order, made ahead of time.

    One grain element is one batch, so a run resumes at any step by its number alone.
    """
    if not flags.FLAGS.is_parsed():  # grain asks absl for its own flags; without `app.run` nobody has parsed them
        flags.FLAGS.mark_as_parsed()
    data = grain.MapDataset.range(numbers.start, numbers.stop).map(make)
    ahead = data.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=2))
    if workers:
        ahead = ahead.mp_prefetch(
            grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=2), worker_init_fn=_init_worker
        )
    batches = iter(ahead)
    try:
        # grain starts its workers at the first batches, so one of each worker is awaited.
        with _no_accelerator():
            first = [_own(batch) for _, batch in zip(range(min(workers, len(numbers))), batches, strict=False)]
        yield from first
        yield from map(_own, batches)
    except InputError as error:
        raise InputError(*error.args) from None  # a worker's, without grain's note and traceback
    finally:
        batches.close()
        del batches, ahead
        gc.collect()  # grain's iterator is a cycle that holds shared memory; left to the exit, Python calls it leaked


def _init_worker(index: int, count: int) -> None:
    """One thread a worker: more would only compete with the other workers."""
    del index, count
    cv2.setNumThreads(1)


@contextlib.contextmanager
def _no_accelerator() -> Iterator[None]:
    """Processes started within open no accelerator: grain imports jax there, and this process holds the device.

    Only the environment of new processes changes: jax has read its own at import.
    """
    before = os.environ.get("JAX_PLATFORMS")
    os.environ["JAX_PLATFORMS"] = "cpu"
    try:
        yield
    finally:
        if before is None:
            del os.environ["JAX_PLATFORMS"]
        else:
            os.environ["JAX_PLATFORMS"] = before


def _own(batch: Batch) -> Batch:
    """The batch in memory of its own.

    grain hands over shared memory and unmaps it when its array object dies, whether or not a view of it is left;
    jax may keep views of arrays on the CPU.
    """
    own: Callable[[Any], Any] = np.array
    fields = {name: own(field) for name, field in batch._asdict().items() if name != "truth"}
    return Batch(truth=GroundTruth(*map(own, batch.truth)), **fields)
