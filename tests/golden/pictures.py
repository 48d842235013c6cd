"""Pictures of the reference's files of assigners on one canvas, so that a file needs one program.

A picture lies on the largest canvas of its file with its objects padded to the largest number of them. Priors beyond
its own canvas are not valid, and predict what would show: a sure class and a box far away.
"""

from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from lad_jax.priors import make_levels, make_priors
from lad_jax.types import Levels, Predictions, Priors, Scene
from tests.golden import network
from tests.reference.example import predictions_of, scene_of, truth_of

BEYOND = 9.0
"""Logits and deltas of priors that are none of a picture's."""


class File(NamedTuple):
    """The pictures of a file."""

    arrays: list[dict[str, np.ndarray]]
    """The reference's, picture by picture."""
    places: list[np.ndarray]
    """Of each picture: the positions of its priors among those of the canvas."""
    scene: Scene
    predictions: Predictions


def read(path: Path) -> File:
    """The pictures of a file; without predictions in it all priors predict the same."""
    arrays = network.load(path)
    prefixes = [f"p{i}_" for i in range(len(arrays["pictures"]))]
    pictures = [{k.removeprefix(p): x for k, x in arrays.items() if k.startswith(p)} for p in prefixes]
    strides = tuple(np.unique(pictures[0]["stride"]).tolist())
    canvases = [tuple(picture["canvas"].tolist()) for picture in pictures]
    x1, _, x2, _ = pictures[0]["anchors"][0]
    priors = make_priors(tuple(np.max(canvases, axis=0).tolist()), strides, float(x2 - x1) / strides[0])
    places = [positions(make_levels(canvas, strides), priors.levels) for canvas in canvases]

    def on_canvas(name, filler):
        rows = np.stack([filler] * len(pictures))
        for row, picture, place in zip(rows, pictures, places, strict=True):
            if name in picture:
                row[place] = picture[name]
        return jnp.asarray(rows)

    n_priors = len(priors.valid)
    n_classes = max(picture["cls_logits"].shape[1] if "cls_logits" in picture else 20 for picture in pictures)
    shapes = {"cls_logits": (n_priors, n_classes), "box_deltas": (n_priors, 4), "quality_logits": (n_priors,)}
    outputs = [on_canvas(name, np.full(shape, BEYOND, np.float32)) for name, shape in shapes.items()]
    boxes, valid = on_canvas("anchors", priors.boxes), on_canvas("valid", np.zeros(n_priors, bool))
    truth = truth_of([(picture["gt_boxes"], picture["gt_labels"]) for picture in pictures])
    image_hw = np.stack([picture["image_hw"] for picture in pictures]).astype(np.int32)
    scene = scene_of(Priors(boxes, valid, priors.levels), truth, image_hw)
    return File(pictures, places, scene, predictions_of(*outputs, boxes))


def positions(small: Levels, large: Levels) -> np.ndarray:
    """Positions of the cells of small grids among those of larger ones; they keep their order."""
    starts, rows_and_columns = [part.start for part in large.slices], zip(small.shapes, large.shapes, strict=True)
    grids = [
        start + np.arange(rows)[:, None] * width + np.arange(columns)
        for start, ((rows, columns), (_, width)) in zip(starts, rows_and_columns, strict=True)
    ]
    return np.concatenate([grid.ravel() for grid in grids])
