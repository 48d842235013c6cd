"""Inference against the reference implementation's detections."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.boxes import decode
from lad_jax.evaluation.postprocess import PostprocessOptions, postprocess
from lad_jax.priors import make_priors
from lad_jax.types import Predictions

STRIDES = (8, 16, 32, 64, 128)


run = jax.jit(postprocess, static_argnames=("level_sizes", "options"))


def detect(arrays, image, *, rescale, voting):
    canvas = tuple(arrays["canvas"].tolist())
    priors = make_priors(canvas, STRIDES, 8.0)
    logits, deltas = jnp.asarray(arrays["cls_logits"][image]), jnp.asarray(arrays["box_deltas"][image])
    predictions = Predictions(
        class_log_p=jax.nn.log_sigmoid(logits),
        class_log_not_p=jax.nn.log_sigmoid(-logits),
        box_deltas=deltas,
        boxes=decode(jnp.asarray(priors.boxes), deltas),
        quality_logit=jnp.asarray(arrays["iou_logits"][image]),
    )
    return run(
        predictions,
        jnp.ones(len(logits), bool),  # the reference looks at the padding too
        jnp.asarray(arrays["image_hw"][image]),
        jnp.asarray(arrays["scale_wh"][image]) if rescale else jnp.ones(2),
        level_sizes=priors.levels.sizes,
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
        theirs = reference(arrays, variant, image)
        assert len(mine[0]) == len(theirs[0])
        assert_same_detections(mine, theirs)


def reference(arrays, variant, image):
    """The reference's boxes, scores and labels, a box that its voting made NaN as it was before voting.

    A kept box without area overlaps nothing, not even itself: no candidate has a vote, and the mean is 0 / 0.
    """
    boxes, scores, labels = (arrays[f"{variant}_{image}_{name}"] for name in ("boxes", "scores", "labels"))
    kept, kept_scores, kept_labels = (arrays[f"nms_{image}_{name}"] for name in ("boxes", "scores", "labels"))
    if variant == "voted_canvas":
        kept = kept * np.tile(arrays["scale_wh"][image], 2)
    free = np.prod(kept[:, 2:] - kept[:, :2], axis=1) < 1e-8
    boxes = boxes.copy()
    for row in np.flatnonzero(np.isnan(boxes).any(axis=1)):
        before = np.flatnonzero(free & (kept_labels == labels[row]) & (kept_scores == scores[row]))
        assert len(before), f"voting gave NaN for class {labels[row]}, score {scores[row]}, which had an area"
        boxes[row], free[before[0]] = kept[before[0]], False
    return boxes, scores, labels


def assert_same_detections(mine, theirs):
    """Every detection of the one has a partner of its own in the other: same class, score and box."""
    free = np.ones(len(theirs[0]), bool)
    for box, score, label in zip(*mine, strict=True):
        partner = free & (theirs[2] == label) & (np.abs(theirs[1] - score) < 1e-4)
        distance = np.where(partner, np.abs(theirs[0] - box).max(axis=1), np.inf)
        assert distance.min() < 0.01, f"no partner for class {label}, score {score}, box {box}"
        free[distance.argmin()] = False
