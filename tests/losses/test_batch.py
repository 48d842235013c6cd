"""Over which pictures the losses of a batch are normalised."""

import jax
import numpy as np
import pytest

from lad_jax.losses import LossOptions, SoftOptions
from tests.reference.example import (
    CANVAS,
    IMAGE_HW,
    OBJECTS,
    assignment_of,
    loss_terms,
    outputs,
    predictions_of,
    priors_of,
    scene_of,
    truth_of,
)

N = 4
PRIORS = priors_of(CANVAS, np.tile(IMAGE_HW, (2, 1)))
TRUTH = truth_of([*OBJECTS, OBJECTS[1], OBJECTS[0]])
SCENE = scene_of(PRIORS, TRUTH, np.tile(IMAGE_HW, (2, 1)))


def predictions(phase):
    raw = (np.concatenate(two) for two in zip(outputs(phase), outputs(phase + 1), strict=True))
    return predictions_of(*raw, PRIORS.boxes)


def assignment():
    rng = np.random.default_rng(0)
    share = np.array([0.02, 0.1, 0.3, 0.01])[:, None]  # so that it matters whose positives are counted
    positive = (rng.random(PRIORS.valid.shape) < share) & np.asarray(PRIORS.valid)
    owner = np.where(positive, rng.integers(0, 2, positive.shape), -1)
    return assignment_of(owner, PRIORS.valid)


def of_detection(pictures, rows=slice(None)):
    args = jax.tree.map(lambda x: x[rows], (predictions(0.0), assignment(), SCENE))
    return loss_terms(["detection"], *args, box_weighting="quality", pictures=pictures)


def of_soft(pictures, rows=slice(None)):
    student, teacher, scene = jax.tree.map(lambda x: x[rows], (predictions(0.0), predictions(0.8), SCENE))
    soft = SoftOptions(min_iou=0.1)
    return loss_terms(["soft"], student, None, scene, teacher=teacher, soft=soft, pictures=pictures)


@pytest.mark.parametrize("terms", [of_detection, of_soft])
def test_groups_are_devices_that_normalise_for_themselves(terms):
    whole, halves = terms(0), terms(2)
    for name, value in halves.items():
        apart = [terms(0, rows)[name] for rows in (slice(0, 2), slice(2, 4))]
        np.testing.assert_allclose(value, np.mean(apart), rtol=1e-5)
        assert abs(value / whole[name] - 1) > 1e-3, "the grouping matters here"
    for name, value in terms(N).items():
        np.testing.assert_array_equal(value, whole[name])


def test_negative_group():
    with pytest.raises(ValueError, match="normaliser_pictures"):
        LossOptions(normaliser_pictures=-1)
