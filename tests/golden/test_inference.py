"""Inference against the reference implementation's detections."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.boxes import decode
from lad_jax.evaluation.postprocess import PostprocessOptions, postprocess
from lad_jax.priors import level_sizes, make_priors
from lad_jax.types import Predictions

STRIDES = (8, 16, 32, 64, 128)


run = jax.jit(postprocess, static_argnames=("level_sizes", "options"))


def detect(arrays, image, *, rescale, voting):
    canvas = tuple(arrays["canvas"].tolist())
    logits, deltas = jnp.asarray(arrays["cls_logits"][image]), jnp.asarray(arrays["box_deltas"][image])
    predictions = Predictions(
        class_log_p=jax.nn.log_sigmoid(logits),
        class_log_not_p=jax.nn.log_sigmoid(-logits),
        box_deltas=deltas,
        boxes=decode(jnp.asarray(make_priors(canvas, STRIDES, 8.0).boxes), deltas),
        quality_logit=jnp.asarray(arrays["iou_logits"][image]),
    )
    return run(
        predictions,
        jnp.ones(len(logits), bool),  # the reference looks at the padding too
        jnp.asarray(arrays["image_hw"][image]),
        jnp.asarray(arrays["scale_wh"][image]) if rescale else jnp.ones(2),
        level_sizes=level_sizes(canvas, STRIDES),
        options=PostprocessOptions(voting=voting),
    )


@pytest.mark.parametrize(
    ("variant", "rescale", "voting"),
    [("nms", True, False), ("voted", True, True), ("voted_canvas", False, True)],
)
def test_detections_equal_the_reference(golden, variant, rescale, voting):
    arrays = np.load(golden / "inference.npz")
    for image in range(len(arrays["cls_logits"])):
        found = detect(arrays, image, rescale=rescale, voting=voting)
        valid = np.asarray(found.valid)
        mine = [np.asarray(field)[valid] for field in (found.boxes, found.scores, found.classes)]
        theirs = [arrays[f"{variant}_{image}_{name}"] for name in ("boxes", "scores", "labels")]
        assert len(mine[0]) == len(theirs[0])
        assert_same_detections(mine, theirs)


def assert_same_detections(mine, theirs):
    """Every detection of the one has a partner of its own in the other: same class, score and box."""
    free = np.ones(len(theirs[0]), bool)
    for box, score, label in zip(*mine, strict=True):
        partner = free & (theirs[2] == label) & (np.abs(theirs[1] - score) < 1e-4)
        distance = np.where(partner, np.abs(theirs[0] - box).max(axis=1), np.inf)
        assert distance.min() < 0.01, f"no partner for class {label}, score {score}, box {box}"
        free[distance.argmin()] = False
