"""Losses against the worked numbers of spec 12.1 and 12.3 and the numpy twin."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax import losses
from tests.reference import objectness
from tests.reference import paa as twin
from tests.reference.example import (
    CANVAS,
    IMAGE_HW,
    NO_OBJECTS,
    OBJECTS,
    assignment_of,
    loss_terms,
    numpy_objects,
    outputs,
    predictions_of,
    priors_of,
    scene_of,
    truth_of,
)

PRIORS = priors_of(CANVAS, IMAGE_HW)


def focal(logits, label):
    """Focal loss of each class; `label` is the class present, None for background."""
    logits = jnp.array(logits)
    present = jnp.arange(len(logits)) == (-1 if label is None else label)
    positive, negative = (
        f(jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits))
        for f in (losses.focal_positive, losses.focal_negative)
    )
    return jnp.where(present, positive, negative)


def test_focal_worked():
    np.testing.assert_allclose(focal([-4.59511985, 0.0, 2.0], 0), [1.1283818, 0.1299651, 1.2375586], rtol=1e-5)
    np.testing.assert_allclose(focal([-4.59511985, 0.0, 2.0], 2).sum(), 0.1304168, rtol=1e-5)
    np.testing.assert_allclose(focal([1.0, -1, -3], None), [0.52640122, 0.016993547, 8.196244e-5], rtol=1e-5)
    np.testing.assert_allclose(focal([1.0, -1, -3], 1).sum(), 0.7019503, rtol=1e-5)


def test_focal_at_extreme_logits():
    """Log-sigmoids keep it finite, with the gradient of the formula, where p rounds to 0 or 1."""
    for logit in (-200.0, 200.0):
        for label in (0, None):
            value, slope = jax.value_and_grad(lambda z, label=label: focal([z], label)[0])(logit)
            assert np.isfinite(value) and np.isfinite(slope)
    np.testing.assert_allclose(focal([-200.0], 0)[0], 0.25 * 200, rtol=1e-6)
    np.testing.assert_allclose(focal([200.0], None)[0], 0.75 * 200, rtol=1e-6)


def test_quality_focal_worked():
    """Assigners 7; a target of 1 is the focal loss but for its weight of 1/4, of 0 but for 3/4."""
    logits = jnp.array([-4.59511985, 0.0, 2.0])
    log_p, log_not_p = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
    np.testing.assert_allclose(
        losses.quality_focal(log_p, log_not_p, jnp.array([0, 0, 0.6])).sum(), 0.24637325, rtol=1e-5
    )
    hard = losses.quality_focal(log_p, log_not_p, jnp.array([0.0, 0, 1]))
    np.testing.assert_allclose(hard * jnp.array([0.75, 0.75, 0.25]), focal(logits, 2), rtol=1e-5)


def of_one(predictions, assignment, truth, weighting, **setting):
    """Terms of a batch of one picture; `truth` is batched already."""
    predictions, assignment = jax.tree.map(lambda x: x[None], (predictions, assignment))
    scene = scene_of(jax.tree.map(lambda x: x[:1], PRIORS), truth, IMAGE_HW[0])
    return loss_terms(["detection"], predictions, assignment, scene, box_weighting=weighting, **setting)


def test_quality_worked():
    """Binary cross-entropy of logits (0.3, -1.2) and IoUs (0.7, 0.2), times 0.5, over 2 positives."""
    targets = jnp.array([[0.0, 0, 10, 10], [0, 0, 10, 10]])
    predicted = jnp.array([[0.0, 0, 7, 10], [0, 0, 10, 2]])
    truth = truth_of([(targets[:1], [0])])
    logits = jnp.zeros((2, 1))
    predictions = predictions_of(logits, jnp.zeros((2, 4)), jnp.array([0.3, -1.2]), targets)._replace(boxes=predicted)
    assignment = assignment_of(np.zeros(2), np.ones(2))
    terms = of_one(predictions, assignment, truth, "uniform")
    np.testing.assert_allclose(terms["quality"], 0.2869094, rtol=1e-5)


def test_box_worked():
    """1.3·(1 - GIoU) of one positive."""
    truth = truth_of([([[2, 2, 12, 12]], [0])])
    for box, expected in [([0, 0, 10, 10], 0.7604575), ([2, 2, 12, 12], 0.0)]:
        predictions = predictions_of(jnp.zeros((1, 1)), jnp.zeros((1, 4)), jnp.zeros(1), jnp.zeros((1, 4)))
        predictions = predictions._replace(boxes=jnp.array([box], jnp.float32))
        assignment = assignment_of(np.zeros(1), np.ones(1))
        for weighting in ("quality", "uniform"):
            terms = of_one(predictions, assignment, truth, weighting)
            np.testing.assert_allclose(terms["box"], expected, atol=1e-6)


SOFT = {"class_loss": "quality_focal", "weighting": "target"}


def test_soft_targets():
    """Class and box losses are divided by the sum of the targets, and by 1 where that is less."""
    truth = truth_of([([[2, 2, 12, 12]], [0])])
    logits = jnp.array([[1.0, -2], [0.5, 0], [-1, 0.3]])
    predictions = predictions_of(logits, jnp.zeros((3, 4)), jnp.zeros(3), jnp.zeros((3, 4)))
    predictions = predictions._replace(boxes=jnp.array([[0, 0, 10, 10], [2, 2, 12, 10], [0, 0, 1, 1]], jnp.float32))
    assignment = assignment_of(np.array([0, 0, -1]), np.ones(3))
    for targets in ([0.9, 0.6, 0], [0.2, 0.1, 0]):
        terms = of_one(predictions, assignment._replace(target=jnp.array(targets)), truth, **SOFT)
        y = np.stack([targets, np.zeros(3)], axis=1)
        p, divisor = twin.sigmoid(np.asarray(logits, np.float64)), max(sum(targets), 1)
        classes = -((p - y) ** 2) * (y * np.log(p) + (1 - y) * np.log(1 - p))
        boxes = targets * (1 - twin.giou(np.asarray(predictions.boxes), np.array([[2.0, 2, 12, 12]])))
        np.testing.assert_allclose(terms["class"], classes.sum() / divisor, rtol=1e-5)
        np.testing.assert_allclose(terms["box"], 1.3 * boxes.sum() / divisor, rtol=1e-5)


def test_centerness_as_target_and_weight():
    """Of prior 0, whose centre is (0, 0) and so outside the second box, and prior 1's at (8, 0)."""
    truth = truth_of([([[-4, -8, 16, 8], [3, -8, 13, 24]], [0, 0])])
    central = np.array([0.5, np.sqrt(8 / 24)])
    raw = jnp.zeros((2, 1)), jnp.zeros((2, 4)), jnp.array([0.3, -1.2])
    first = jax.tree.map(lambda x: x[:, :2], (PRIORS.boxes, PRIORS.valid))
    for owner, target in [([0, 1], central), ([1, 1], [0, central[1]])]:
        predictions = predictions_of(*raw, first[0][0])
        scene = scene_of(PRIORS._replace(boxes=first[0][:1], valid=first[1][:1]), truth, IMAGE_HW[0])
        batch = jax.tree.map(lambda x: x[None], (predictions, assignment_of(np.array(owner), np.ones(2))))
        terms = loss_terms(["detection"], *batch, scene, box_weighting="quality", quality_target="centerness")
        u = twin.sigmoid(np.array([0.3, -1.2]))
        quality = -np.mean(target * np.log(u) + (1 - np.array(target)) * np.log(1 - u))
        np.testing.assert_allclose(terms["quality"], 0.5 * quality, rtol=1e-5)
        boxes = 1 - twin.giou(np.asarray(predictions.boxes), np.asarray(truth.boxes[0])[owner])
        np.testing.assert_allclose(terms["box"], 1.3 * np.average(boxes, weights=target), rtol=1e-5)


def test_weights_of_the_terms():
    predictions, truth = predictions_of(*outputs(0.3), PRIORS.boxes), truth_of(OBJECTS)
    args = predictions, random_assignment(1, 0.1), scene_of(PRIORS, truth)
    plain = loss_terms(["detection"], *args)
    weighted = loss_terms(["detection"], *args, class_weight=2.0, box_weight=2.6, quality_weight=0.25)
    for name, factor in [("class", 2), ("box", 2), ("quality", 0.5)]:
        np.testing.assert_allclose(weighted[name], factor * plain[name], rtol=1e-6)


def random_assignment(seed, share):
    """About `share` of the valid priors positive, for random objects."""
    rng = np.random.default_rng(seed)
    positive = (rng.random(PRIORS.valid.shape) < share) & np.asarray(PRIORS.valid)
    counts = np.array([len(labels) for _, labels in OBJECTS])[:, None]
    owner = np.where(positive, rng.integers(0, counts, positive.shape), -1).astype(np.int32)
    return assignment_of(owner, PRIORS.valid)


@jax.jit
def both(logits, deltas, quality, assignment, truth):
    """Losses of both weightings."""
    predictions = predictions_of(logits, deltas, quality, PRIORS.boxes)

    return tuple(
        loss_terms(["detection"], predictions, assignment, scene_of(PRIORS, truth), box_weighting=weighting)
        for weighting in ("quality", "uniform")
    )


@pytest.mark.parametrize("share", [0.0, 0.005, 0.1])
def test_losses_equal_the_twin(share):
    raw = outputs(0.3)
    assignment, truth = random_assignment(1, share), truth_of(OBJECTS)
    pictures = []
    for i in range(2):
        logits, deltas, quality = (x[i].astype(np.float64) for x in raw)
        predicted = twin.decode(np.asarray(PRIORS.boxes[i], np.float64), deltas)
        owner, valid = np.asarray(assignment.object[i]), np.asarray(PRIORS.valid[i])
        pictures.append((logits, predicted, quality, owner, valid, *numpy_objects(truth, i)))
    for terms, weighted in zip(both(*raw, assignment, truth), (True, False), strict=True):
        expected = twin.losses(pictures, weighted=weighted)
        np.testing.assert_allclose([terms[k] for k in ("class", "box", "quality")], expected, rtol=1e-5)


@pytest.mark.parametrize("extreme", [False, True])
def test_without_an_iou_branch_equal_the_twin(extreme):
    """Probabilities without logits, a plain mean over the positives' boxes, no quality loss (spec 1.8)."""
    rng, assignment, truth = np.random.default_rng(5), random_assignment(4, 0.05), truth_of(OBJECTS)
    p = rng.uniform(0, 1, (*PRIORS.valid.shape, 3)).astype(np.float32)
    if extreme:
        p = np.where(rng.random(p.shape) < 0.01, np.round(p), p)  # exactly 0 or 1: the logarithm is -100
    with np.errstate(divide="ignore"):
        logs = [np.maximum(np.log(p), -100), np.maximum(np.log1p(-p), -100)]
    predictions = predictions_of(*outputs(0.3), PRIORS.boxes)
    predictions = predictions._replace(
        class_log_p=jnp.asarray(logs[0]), class_log_not_p=jnp.asarray(logs[1]), quality_logit=None
    )
    terms = loss_terms(["detection"], predictions, assignment, scene_of(PRIORS, truth), box_weighting="uniform")
    pictures = [
        (
            p[i].astype(np.float64),
            *(np.asarray(x[i]) for x in (predictions.boxes, assignment.object, PRIORS.valid)),
            *numpy_objects(truth, i),
        )
        for i in range(2)
    ]
    expected = objectness.losses_without_iou_branch(pictures)
    np.testing.assert_allclose([terms["class"], terms["box"]], expected, rtol=1e-5)
    assert terms["quality"] == 0


def test_probability_focal_worked():
    """Spec 12.1, "ProbFocal": logarithms are at least -100, so a certain background costs 75."""
    p = jnp.array([1.0, 0.3, 0.004])
    found = losses.focal_negative(jnp.log(p), jnp.maximum(jnp.log1p(-p), -100))
    np.testing.assert_allclose(found, [75.0, 0.024075562, 4.8096e-8], rtol=1e-5)


def test_no_objects_worked():
    truth, nothing = truth_of([NO_OBJECTS] * 2), random_assignment(1, 0.0)
    for terms in both(*outputs(0.0), nothing, truth):
        np.testing.assert_allclose(terms["class"], 1.0755666, rtol=1e-5)
        assert terms["box"] == 0 and terms["quality"] == 0


def test_ignored_priors_weigh_nothing():
    raw, truth, assignment = outputs(0.0), truth_of(OBJECTS), random_assignment(2, 0.05)
    spoiled = raw[0].copy()
    spoiled[~np.asarray(PRIORS.valid)] = 9.0
    for a, b in zip(both(*raw, assignment, truth), both(spoiled, *raw[1:], assignment, truth), strict=True):
        np.testing.assert_array_equal(sum(a.values()), sum(b.values()))


def test_quality_does_not_move_boxes():
    """The IoU is a target and a weight, not a path for gradients (spec 6.4)."""
    logits, deltas, quality = map(jnp.asarray, outputs(0.0))
    assignment, truth = random_assignment(3, 0.05), truth_of(OBJECTS)

    def quality_loss(d):
        return both(logits, d, quality, assignment, truth)[0]["quality"]

    assert not jax.grad(quality_loss)(deltas).any()
    assert jax.grad(lambda d: both(logits, d, quality, assignment, truth)[0]["box"])(deltas).any()


def test_weights_of_no_overlap():
    """All positives miss their objects: PAA's weights are tiny, and the loss is still a mean of 1 - GIoU."""
    truth = truth_of([([[50, 50, 60, 60]], [0])])
    predictions = predictions_of(jnp.zeros((2, 1)), jnp.zeros((2, 4)), jnp.zeros(2), jnp.zeros((2, 4)))
    predictions = predictions._replace(boxes=jnp.array([[0.0, 0, 10, 10], [0, 0, 20, 20]]))
    assignment = assignment_of(np.zeros(2), np.ones(2))
    box = of_one(predictions, assignment, truth, "quality")["box"]
    expected = 1.3 * np.mean(1 - twin.giou(np.asarray(predictions.boxes), np.array([[50.0, 50, 60, 60]])))
    np.testing.assert_allclose(box, expected, rtol=1e-5)
