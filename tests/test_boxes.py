"""Box geometry against the worked numbers of spec 12.1, numpy twins and its own laws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax import boxes
from tests.reference import paa as twin


def random_boxes(seed, n):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-20, 100, (n, 2))
    return jnp.asarray(np.concatenate([corner, corner + rng.uniform(0.5, 80, (n, 2))], axis=1), jnp.float32)


@pytest.mark.parametrize(
    ("prior", "deltas", "expected"),
    [
        ([-32, -32, 32, 32], [0.5, -0.3, 1.2, -0.8], [-37.47997, -29.18860, 43.87997, 25.34860]),
        ([96, 160, 160, 224], [-1.5, 2, 30, -40], [-1881.6001, 204.28801, 2118.4001, 205.31200]),  # both bounded
    ],
)
def test_decode_worked(prior, deltas, expected):
    decoded = boxes.decode(jnp.array(prior, jnp.float32), jnp.array(deltas, jnp.float32))
    np.testing.assert_allclose(decoded, expected, rtol=1e-5)


def test_clip_worked():
    decoded = jnp.array([[-37.47997, -29.18860, 43.87997, 25.34860], [-1881.6, 204.288, 2118.4, 205.312]])
    clipped = boxes.clip(decoded, jnp.array([128.0, 160.0]))
    np.testing.assert_allclose(clipped, [[0, 0, 43.87997, 25.34860], [0, 128, 160, 128]], rtol=1e-6)


def test_encode_worked():
    deltas = boxes.encode(jnp.array([-32.0, -32, 32, 32]), jnp.array([10.0, 20, 50, 90]))
    np.testing.assert_allclose(deltas, [4.6875, 8.59375, -2.350018, 0.4480608], rtol=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "iou", "giou"),
    [
        ([0, 0, 10, 10], [2, 2, 12, 12], 0.4705882, 0.4150327),
        ([0, 0, 10, 10], [20, 20, 30, 30], 0.0, -0.7777778),
        ([3, 4, 10, 20], [3, 4, 10, 20], 1.0, 1.0),
        ([5, 5, 5, 5], [0, 0, 10, 10], 0.0, 0.0),  # a point inside
        ([5, 5, 5, 5], [5, 5, 5, 5], 0.0, 0.0),  # no area anywhere: bounded, not NaN
    ],
)
def test_overlaps_worked(a, b, iou, giou):
    a, b = jnp.array(a, jnp.float32), jnp.array(b, jnp.float32)
    np.testing.assert_allclose(boxes.iou(a, b), iou, atol=1e-6)
    np.testing.assert_allclose(boxes.giou(a, b), giou, atol=1e-6)


def test_overlaps_equal_the_twin():
    a, b = random_boxes(0, 40), random_boxes(1, 40)
    wide_a, wide_b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    np.testing.assert_allclose(boxes.iou(a, b), twin.iou(wide_a, wide_b), atol=1e-5)
    np.testing.assert_allclose(boxes.giou(a, b), twin.giou(wide_a, wide_b), atol=1e-5)
    np.testing.assert_allclose(boxes.pairwise_iou(a, b[:7]), twin.iou(wide_a[:, None], wide_b[None, :7]), atol=1e-5)
    np.testing.assert_allclose(boxes.area(a), np.prod(wide_a[:, 2:] - wide_a[:, :2], axis=1), rtol=1e-5)


def test_giou_is_bounded_symmetric_and_below_iou():
    a, b = random_boxes(2, 200), random_boxes(3, 200)
    giou, iou = boxes.giou(a, b), boxes.iou(a, b)
    assert (giou >= -1).all() and (giou <= iou + 1e-6).all()
    np.testing.assert_allclose(giou, boxes.giou(b, a), atol=1e-6)
    moved = jnp.array([[7.0, -3, 7, -3]])
    np.testing.assert_allclose(boxes.giou(a + moved, b + moved), giou, atol=1e-4)


def test_encode_and_decode_are_inverse():
    priors, targets = random_boxes(4, 100), random_boxes(5, 100)
    ratio = (targets[:, 2:] - targets[:, :2]) / (priors[:, 2:] - priors[:, :2])
    priors, targets = (b[(ratio < 60).all(1) & (ratio > 1 / 60).all(1)] for b in (priors, targets))  # decode's bound
    np.testing.assert_allclose(boxes.decode(priors, boxes.encode(priors, targets)), targets, atol=2e-4)
    ones = np.ones(priors.shape, np.float32)
    np.testing.assert_allclose(
        boxes.decode(priors, jnp.asarray(ones)), twin.decode(np.asarray(priors), ones), rtol=1e-4, atol=1e-3
    )


def test_giou_gradient_equals_differences():
    target = np.array([10.0, 20, 50, 90])
    for box in ([12.0, 18, 40, 95], [60.0, 100, 70, 120]):  # overlapping and apart
        gradient = jax.grad(lambda b: boxes.giou(b, jnp.asarray(target, jnp.float32)))(jnp.array(box))
        steps = 1e-4 * np.eye(4)
        expected = [(twin.giou(box + h, target) - twin.giou(box - h, target)) / 2e-4 for h in steps]
        np.testing.assert_allclose(gradient, expected, atol=1e-5)


def test_decode_is_flat_beyond_its_bound():
    prior = jnp.array([0.0, 0, 64, 64])
    gradient = jax.jacobian(lambda d: boxes.decode(prior, d))(jnp.array([0.0, 0, 30, -40]))
    assert (gradient[:, 2:] == 0).all() and (gradient[:, :2] != 0).any()


def test_centerness_worked():
    """Assigners 14: distances 6, 4, 28 and 24 to the sides; and a centre on a side, outside, in a box without area."""
    priors = jnp.array([[-16.0, -16, 48, 48]] * 4)
    others = jnp.array([[10.0, 12, 44, 40], [16, 0, 40, 40], [20, 0, 40, 40], [16, 16, 16, 16]])
    np.testing.assert_allclose(boxes.centerness(priors, others), [0.18898223, 0, 0, 0], rtol=1e-6)


def test_centerness_of_the_reference(golden):
    """Of FCOS's positives on twelve pictures."""
    with np.load(golden / "assign_fcos.npz") as arrays:
        for i in range(len(arrays["pictures"])):
            assigned = arrays[f"p{i}_assigned"]
            positive = assigned >= 0
            owner = arrays[f"p{i}_gt_boxes"][assigned[positive]]
            found = boxes.centerness(jnp.asarray(arrays[f"p{i}_anchors"][positive]), jnp.asarray(owner))
            np.testing.assert_allclose(found, arrays[f"p{i}_centerness"][positive], rtol=1e-5)
