"""The worked example of spec 12.3: two pictures, three classes, outputs of networks by formula.

And what the tests need to speak with `lad_jax` about raw outputs and unpadded objects.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from lad_jax import boxes
from lad_jax.distill import SwitchOptions, policy
from lad_jax.losses import LossSetting, batch_divisors, batch_sums, batch_terms, make_losses
from lad_jax.priors import make_priors, within
from lad_jax.types import Assignment, CostTable, GroundTruth, Levels, Predictions, Priors, Scene

STRIDES = (8, 16, 32, 64, 128)
N_LEVELS = len(STRIDES)
CANVAS = (128, 160)
IMAGE_HW = np.array([[128, 160], [90, 125]])
OBJECTS = [
    ([[10, 12, 70, 90], [60, 40, 155, 120], [100, 5, 108, 11], [64, 41, 150, 118]], [0, 1, 2, 1]),
    ([[5, 8, 30, 40], [20, 20, 120, 90]], [2, 0]),
]
NO_OBJECTS = ([], [])


def outputs(phase):
    """Class logits [2,A,3], deltas [2,A,4] and quality logits [2,A] of the network of a phase, float32."""
    a = np.arange(sum(-(-CANVAS[0] // s) * -(-CANVAS[1] // s) for s in STRIDES))
    n = np.arange(2)[:, None, None]
    logits = -3 + 1.5 * np.sin(0.7 * a[:, None] + 1.3 * np.arange(3) + 0.9 * n + phase)
    deltas = 0.3 * np.cos(0.9 * a[:, None] + 0.5 * np.arange(4) + 0.4 * n + phase)
    quality = 0.4 * np.sin(0.11 * a + n[:, 0] + phase)
    return tuple(x.astype(np.float32) for x in (logits, deltas, quality))


def predictions_of(logits, deltas, quality, anchors):
    """`Predictions` of a plain head's raw outputs (any leading axes)."""
    logits, deltas, quality, anchors = map(jnp.asarray, (logits, deltas, quality, anchors))
    decoded = boxes.decode(anchors, deltas)
    return Predictions(jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits), deltas, decoded, quality)


def truth_of(objects, size=None):
    """Batched `GroundTruth` from a list of (boxes, labels), padded to `size` rows with boxes that must not count."""
    size = size or max(1, *(len(labels) for _, labels in objects))
    rows = np.full((len(objects), size, 4), [3.0, 5.0, 61.0, 73.0], np.float32)
    labels, mask = np.zeros((len(objects), size), np.int32), np.zeros((len(objects), size), bool)
    for i, (box, label) in enumerate(objects):
        rows[i, : len(label)] = np.reshape(box, (-1, 4))
        labels[i, : len(label)] = label
        mask[i, : len(label)] = True
    return GroundTruth(*map(jnp.asarray, (rows, labels, mask, np.zeros_like(mask))))


def priors_of(canvas, image_hw, strides=STRIDES, scale=8.0):
    """Batched priors of pictures on a canvas, sizes rounded up to 32."""
    priors = make_priors(canvas, strides, scale)
    return jax.vmap(lambda hw: jax.tree.map(jnp.asarray, within(priors, hw)))(jnp.asarray(image_hw))


def scene_of(priors, truth, image_hw=IMAGE_HW, progress=0.0):
    """Batched `Scene`."""
    batch = len(truth.labels)
    return Scene(priors, truth, jnp.broadcast_to(jnp.asarray(image_hw), (batch, 2)), jnp.full(batch, progress))


def assignment_of(owner, weight):
    """`Assignment` of hard positives, with any leading axes: `owner` is -1 for a prior that is not positive."""
    owner = jnp.asarray(owner, jnp.int32)
    iterations = jnp.zeros(owner.shape[:-1], jnp.int32)
    return Assignment(owner, jnp.asarray(weight, jnp.float32), (owner >= 0).astype(jnp.float32), iterations)


def loss_terms(kinds, predictions, assignment, scene, valid=None, *, teacher=None, pictures=0, **setting):
    """The terms of a batch by the project's own composition: what a training step sums."""
    losses = make_losses(kinds, LossSetting(**setting))
    if assignment is None:
        assignment = assignment_of(np.full(scene.priors.valid.shape, -1), scene.priors.valid)
    valid = jnp.ones(len(scene.truth.labels), bool) if valid is None else valid
    sums = batch_sums(losses, predictions, teacher, assignment, scene)
    return batch_terms(sums, batch_divisors(losses, sums, valid, pictures))


def numpy_objects(truth, i):
    """Boxes and labels of picture i without padding."""
    keep = np.asarray(truth.objects[i])
    return np.asarray(truth.boxes[i])[keep], np.asarray(truth.labels[i])[keep]


@partial(jax.jit, static_argnames=("n_cells", "criterion"))
def best_network(costs, cell, *, n_cells, criterion="std_over_mean"):
    """The network that each prior's cost is from, -1 for none; a cell is an object."""
    n = len(cell)
    priors = Priors(jnp.zeros((n, 4)), jnp.ones(n, bool), Levels((8,), ((1, n),)))
    objects = jnp.zeros(n_cells, bool)
    truth = GroundTruth(jnp.zeros((n_cells, 4)), jnp.zeros(n_cells, jnp.int32), ~objects, objects)
    scene = Scene(priors, truth, jnp.zeros(2, jnp.int32), jnp.zeros(()))
    owner = jnp.where(cell < n_cells, cell, -1)
    tables = [CostTable(cost, owner, owner >= 0, {}) for cost in costs]
    return policy(tables, scene, SwitchOptions(criterion=criterion, scope="object"))[1]
