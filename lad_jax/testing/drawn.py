"""Pictures, objects and predictions that are drawn at random, for the laws of assigners."""

import jax
import jax.numpy as jnp
import numpy as np

from lad_jax import boxes
from lad_jax.priors import make_priors, within
from lad_jax.types import GroundTruth, Predictions, Priors, Scene

CANVAS_HW = (128, 160)
IMAGE_HW = ((128, 160), (90, 125))
"""Sizes of the two pictures. The second does not fill its canvas: it has priors that are not valid."""
STRIDES, ANCHOR_SCALE, N_CLASSES = (8, 16, 32, 64, 128), 8.0, 3
N_ROWS = 8
"""Number of rows that the objects of a picture are padded to."""
Objects = tuple[np.ndarray, np.ndarray]
"""Boxes [n,4] and labels [n] of a picture."""
# No side is a whole number, so that no two distances or overlaps are equal: ties are settled by position.
SPREAD = (
    np.array(
        [
            [4.3, 4.6, 36.2, 30.9],
            [60.2, 8.7, 118.4, 40.3],
            [128.6, 10.2, 150.9, 50.4],
            [8.1, 50.8, 50.7, 118.3],
            [70.4, 60.3, 90.8, 84.6],
            [104.9, 64.1, 150.3, 120.7],
        ]
    ),
    np.array([0, 1, 2, 0, 1, 2]),
)
"""Six objects apart from each other."""


def draw_objects(seed: int, n: int) -> Objects:
    """Objects of all sizes, some of which overlap."""
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(0, 100, (n, 2)), np.exp(rng.uniform(1.5, 4.5, (n, 2)))
    return np.concatenate([corner, corner + side], axis=1), rng.integers(0, N_CLASSES, n)


def truth_of(pictures: list[Objects], n_rows: int = N_ROWS) -> GroundTruth:
    """Objects of a batch, padded with rows whose boxes and labels must not count."""
    rows = np.full((len(pictures), n_rows, 4), [3, 5, 61, 73], np.float32)
    labels, mask = np.zeros((len(pictures), n_rows), np.int32), np.zeros((len(pictures), n_rows), bool)
    for i, (box, label) in enumerate(pictures):
        rows[i, : len(label)], labels[i, : len(label)], mask[i, : len(label)] = box, label, True
    return GroundTruth(*map(jnp.asarray, (rows, labels, mask, np.zeros_like(mask))))


def draw_scene(seed: int = 0) -> Scene:
    """Two pictures, with seven objects and with two, in the middle of a training."""
    canvas = make_priors(CANVAS_HW, STRIDES, ANCHOR_SCALE)
    image_hw = jnp.asarray(IMAGE_HW)
    priors = jax.vmap(lambda hw: jax.tree.map(jnp.asarray, within(canvas, hw)))(image_hw)
    return Scene(
        priors, truth_of([draw_objects(seed, 7), draw_objects(10 + seed, 2)]), image_hw, jnp.full(len(image_hw), 0.5)
    )


def draw_predictions(priors: Priors, n_classes: int, seed: int) -> Predictions:
    """What some network may predict for a batch, with a quality branch."""
    rng, shape = np.random.default_rng(seed), priors.valid.shape
    logits = jnp.asarray(rng.normal(-3, 1, (*shape, n_classes)).astype(np.float32))
    deltas = jnp.asarray(rng.normal(0, 0.8, (*shape, 4)).astype(np.float32))
    quality = jnp.asarray(rng.normal(0, 1, shape).astype(np.float32))
    decoded = boxes.decode(priors.boxes, deltas)
    return Predictions(jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits), deltas, decoded, quality)


def draw_trained_predictions(scene: Scene, n_classes: int, seed: int) -> Predictions:
    """What a trained network may predict: for every second prior almost the object that it overlaps most."""

    def of_picture(scene: Scene, usual: Predictions) -> Predictions:
        priors, truth = scene.priors, scene.truth
        overlap = jnp.where(truth.objects[:, None], boxes.pairwise_iou(truth.boxes, priors.boxes), 0.0)
        nearest = jnp.argmax(overlap, axis=0)
        right = ((overlap.max(axis=0) > 0) & (jnp.arange(len(nearest)) % 2 == 0))[:, None]
        logits = 16 * jax.nn.one_hot(truth.labels[nearest], n_classes) - 8
        deltas = boxes.encode(priors.boxes, truth.boxes[nearest]) + usual.box_deltas / 20
        deltas = jnp.where(right, deltas, usual.box_deltas)
        return usual._replace(
            class_log_p=jnp.where(right, jax.nn.log_sigmoid(logits), usual.class_log_p),
            class_log_not_p=jnp.where(right, jax.nn.log_sigmoid(-logits), usual.class_log_not_p),
            box_deltas=deltas,
            boxes=boxes.decode(priors.boxes, deltas),
        )

    return jax.vmap(of_picture)(scene, draw_predictions(scene.priors, n_classes, seed))
