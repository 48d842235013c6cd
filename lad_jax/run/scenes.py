"""The pictures of a run's recording: which they are, as the evaluation takes them, and their file."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int, UInt8

from lad_jax.data import DataOptions, DataSet, Plan, eval_batches
from lad_jax.data.canvases import Canvas
from lad_jax.run.recording import Arrays
from lad_jax.types import GroundTruth


class RecordedScene(NamedTuple):
    """A recorded picture, as the evaluation takes it."""

    position: int
    """Position in the data set."""
    canvas: Canvas
    image: UInt8[np.ndarray, "h w 3"]
    """Its content, without the canvas."""
    truth: GroundTruth
    scale: Float[np.ndarray, "2"]
    """Ratio resized / original, for x and y."""

    @property
    def image_hw(self) -> Int[np.ndarray, "2"]:
        """Height and width of the content [pixels]."""
        return np.array(self.image.shape[:2], np.int32)

    @property
    def on_canvas(self) -> UInt8[np.ndarray, "H W 3"]:
        """The picture with its padding."""
        padded, (height, width) = np.zeros((*self.canvas, 3), np.uint8), self.image.shape[:2]
        padded[:height, :width] = self.image
        return padded

    @property
    def n_objects(self) -> int:
        """Number of objects and crowds."""
        return int(self.truth.mask.sum())

    @property
    def arrays(self) -> Arrays:
        """The objects, without the rows that only pad."""
        named = {"boxes": self.truth.boxes, "labels": self.truth.labels, "crowd": self.truth.crowd}
        return {name: np.asarray(x)[: self.n_objects] for name, x in named.items()}


def plan_to_record(dataset: DataSet, plan: Plan, n: int) -> Plan:
    """The plan of an evaluation with the first so many pictures alone that have an object, in its order.

    They are the same for every run on the data set, whatever the size of its batches.
    """
    with_object = [p for p in np.concatenate(plan.groups).tolist() if not dataset.records[p].crowd.all()]
    groups = tuple(group[np.isin(group, with_object[:n])] for group in plan.groups)
    return dataclasses.replace(plan, groups=groups, repeats=tuple(np.ones(len(group)) for group in groups))


def read_scenes(dataset: DataSet, plan: Plan, data: DataOptions) -> Iterator[RecordedScene]:
    """The pictures of a plan of an evaluation, but for those that cannot be read.

    Args:
      dataset: the data set.
      plan: from `plan_to_record`.
      data: how pictures are read and resized.
    """
    for batch in eval_batches(dataset, plan, dataclasses.replace(data, workers=0)):
        for row in np.flatnonzero(batch.valid).tolist():
            (images, sizes, scales), truth = batch.pictures, jax.tree.map(lambda x, row=row: x[row], batch.truth)
            height, width = sizes[row]
            image: Any = images[row, :height, :width].copy()
            yield RecordedScene(int(batch.position[row]), batch.canvas, image, truth, np.asarray(scales[row]))


def scene_header(scenes: Sequence[RecordedScene], dataset: DataSet) -> dict[str, Any]:
    """Facts about the pictures for the header of their file."""
    records = [dataset.records[scene.position] for scene in scenes]
    return {
        "ids": [record.id for record in records],
        "names": [record.file_name for record in records],
        "sizes": [scene.image_hw.tolist() for scene in scenes],
        "canvases": [scene.canvas for scene in scenes],
        "of": len(dataset.records),
        "class_names": dataset.class_names,
    }
