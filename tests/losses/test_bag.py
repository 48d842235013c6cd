"""The bag loss against the worked numbers of assigners 9.2 and 14 and the numpy twin."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.losses import FreeAnchorOptions, bag
from tests.reference import free_anchor as twin
from tests.reference import paa
from tests.reference.example import (
    CANVAS,
    IMAGE_HW,
    NO_OBJECTS,
    OBJECTS,
    loss_terms,
    numpy_objects,
    outputs,
    predictions_of,
    priors_of,
    scene_of,
    truth_of,
)

OPTIONS = FreeAnchorOptions(bag_size=40)
PRIORS = priors_of(CANVAS, IMAGE_HW)
P_CLASS, P_BOX = np.array([0.3, 0.6, 0.05]), np.array([0.5, 0.9, 0.2])
EVERY = jnp.ones((1, 3), bool)


def test_mean_max_worked():
    log_s = jnp.log(jnp.asarray(P_CLASS * P_BOX, jnp.float32))[None]
    weights = jnp.exp(bag.log_weights(log_s, EVERY))[0]
    np.testing.assert_allclose(weights, [0.26980269, 0.49854854, 0.23164879], rtol=1e-6)
    np.testing.assert_allclose(jnp.exp(bag.log_bags(log_s, EVERY)), [0.31200308], rtol=1e-6)
    np.testing.assert_allclose(-bag.log_bags(log_s, EVERY), [1.1647422], rtol=1e-6)
    np.testing.assert_allclose(twin.mean_max(P_CLASS * P_BOX)[0], 0.31200308, rtol=1e-7)


def test_distance_worked():
    found = 0.75 * bag.smooth_l1(jnp.array([0.05, -0.2, 1.0]))
    np.testing.assert_allclose(found, [0.00852273, 0.10875, 0.70875], rtol=1e-6)


def test_background_worked():
    p, fit = jnp.array([[0.3, 0.9]]), jnp.array([[0.0, 0.75]])
    found = 0.5 * bag.background_losses(jnp.log(p), jnp.log1p(-p), fit)
    np.testing.assert_allclose(found, [[0.01605037, 0.00645196]], rtol=2e-6)


@pytest.mark.parametrize("s", [P_CLASS * P_BOX, [1e-9, 0.5, 0.999], [1e-3, 2e-3, 3e-3]])
def test_weights_carry_gradient(s):
    """d bag / d s = (w + w² (s - bag)) / Σ w: of the twin, by finite differences, and here."""
    s = np.asarray(s)
    _, _, slope = twin.mean_max(s)
    step = 1e-7 * np.eye(3)
    differences = [(twin.mean_max(s + h)[0] - twin.mean_max(s - h)[0]) / 2e-7 for h in step]
    np.testing.assert_allclose(slope, differences, rtol=1e-4)
    found = jax.grad(lambda x: jnp.exp(bag.log_bags(x, EVERY))[0])(jnp.log(jnp.asarray(s, jnp.float32))[None])
    np.testing.assert_allclose(found[0], s * slope, rtol=1e-3, atol=1e-9)


def test_a_certain_prior_is_the_whole_bag():
    """Where s rounds to 1 the bound holds and the weight has no gradient; where all s underflow there still is one."""
    value, slope = jax.value_and_grad(lambda x: bag.log_bags(x, EVERY)[0])(jnp.array([[0.0, -1.0, -90.0]]))
    assert value == pytest.approx(0, abs=1e-6) and slope[0, 0] == pytest.approx(1) and np.isfinite(slope).all()
    value, slope = jax.value_and_grad(lambda x: bag.log_bags(x, EVERY)[0])(jnp.array([[-200.0, -300.0, -400.0]]))
    np.testing.assert_allclose(value, -200 - np.log(3), rtol=1e-6)
    np.testing.assert_allclose(slope, [[1, 0, 0]], atol=1e-6)


def test_bags_of_the_worked_case():
    """Assigners 14: 129 priors, three objects, of which the last one's bag hangs on ties."""
    a = np.arange(129)
    logits = -2 + 1.5 * np.sin(0.7 * a[:, None] + 1.3 * np.arange(3))
    deltas = 1.5 * np.cos(0.9 * a[:, None] + 0.5 * np.arange(4)) - 2.5 * (np.arange(4) >= 2)
    objects = [[10, 12, 44, 40], [30, 6, 89, 57], [61, 33, 66, 37.5]], [0, 1, 2]
    priors, truth = priors_of((64, 96), [[64, 96]]), truth_of([objects])
    raw = (x.astype(np.float32)[None] for x in (logits, deltas, 0 * a))
    predictions = predictions_of(*raw, priors.boxes)
    scene = scene_of(priors, truth, np.array([[64, 96]]))
    predictions, scene = jax.tree.map(lambda x: x[0], (predictions, scene))
    bags = bag.nearest_priors(scene, OPTIONS.bag_size)
    expected = np.concatenate([np.r_[2:6]] + [np.r_[first : first + 6] for first in (13, 25, 37, 49, 61, 73)])
    np.testing.assert_array_equal(np.sort(bags.prior[0]), expected)
    log_s = sum(bag.log_probabilities(predictions, scene, bags, 0.75))
    np.testing.assert_allclose(-bag.log_bags(log_s, bags.kept)[:2], [5.6317050, 5.7503905], rtol=1e-5)
    fit = bag.box_probabilities(predictions, scene, 0.6)
    np.testing.assert_allclose((fit[51, 0], fit[52, 0], fit[55, 1]), (0.59652776, 1, 1), rtol=2e-5)
    negative = bag.sums_of_bags(predictions, scene, bags, OPTIONS).terms["bag_negative"]
    np.testing.assert_allclose(negative / (40 * 3), 0.025091702, rtol=1e-5)


@jax.jit
def terms(raw, scene):
    return loss_terms(["bag"], predictions_of(*raw, PRIORS.boxes), None, scene, free_anchor=OPTIONS)


def near_objects(phase):
    """Outputs of a network whose boxes often overlap the first object of their picture by more than 0.6."""
    logits, deltas, quality = outputs(phase)
    code = [twin.encode(np.asarray(PRIORS.boxes[i], np.float64), np.array(OBJECTS[i][0][0])) for i in range(2)]
    return logits, (deltas + np.stack(code)).astype(np.float32), quality


@pytest.mark.parametrize("raw", [outputs(0.3), near_objects(0.3)])
def test_losses_equal_the_twin(raw):
    """Of two pictures, by the objects of both; the second is smaller than its canvas."""
    truth, sums, n = truth_of(OBJECTS), np.zeros(2), sum(len(labels) for _, labels in OBJECTS)
    for i in range(2):
        logits, deltas, _ = (x[i].astype(np.float64) for x in raw)
        anchors, valid = np.asarray(PRIORS.boxes[i], np.float64), np.asarray(PRIORS.valid[i])
        predicted = paa.decode(anchors, deltas)
        sums += twin.sums(logits, deltas, predicted, anchors, valid, *numpy_objects(truth, i), 40)
    found = terms(raw, scene_of(PRIORS, truth))
    np.testing.assert_allclose([found["bag_positive"], found["bag_negative"]], sums / [n, 40 * n], rtol=1e-5)


def test_what_is_no_object_has_no_bag():
    """Padding, crowds and pictures without a valid prior change nothing; nor do equal rows of them, without area."""
    raw, truth, padded = outputs(0.3), truth_of(OBJECTS), truth_of(OBJECTS, 9)
    rows = padded.boxes.at[:, 5:].set(0.0)
    crowd = padded._replace(boxes=rows, mask=padded.mask.at[:, 6].set(True), crowd=padded.crowd.at[:, 6].set(True))
    expected = terms(raw, scene_of(PRIORS, truth))
    for changed in (padded, crowd):
        slopes = jax.grad(lambda raw, changed=changed: sum(terms(raw, scene_of(PRIORS, changed)).values()))(raw)
        assert all(np.isfinite(slope).all() for slope in slopes)
        for name, value in terms(raw, scene_of(PRIORS, changed)).items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-6)
    unread = scene_of(PRIORS._replace(valid=PRIORS.valid.at[1].set(False)), truth)
    alone = scene_of(PRIORS._replace(valid=PRIORS.valid.at[1].set(False)), truth_of([OBJECTS[0], NO_OBJECTS]))
    jax.tree.map(np.testing.assert_array_equal, terms(raw, unread), terms(raw, alone))


def test_no_objects():
    """All background, undivided."""
    raw = outputs(0.0)
    found = terms(raw, scene_of(PRIORS, truth_of([NO_OBJECTS] * 2)))
    p = paa.sigmoid(raw[0].astype(np.float64))[np.asarray(PRIORS.valid)]
    assert found["bag_positive"] == 0
    np.testing.assert_allclose(found["bag_negative"], 0.5 * (-(p**2) * np.log(1 - p)).sum(), rtol=1e-5)


def test_fewer_priors_than_a_bag_holds():
    """The bag is all of them, in this case four; equals come in the order of the priors."""
    valid = jnp.zeros_like(PRIORS.valid).at[:, 3:7].set(True)
    [scene] = [jax.tree.map(lambda x: x[0], scene_of(PRIORS._replace(valid=valid), truth_of(OBJECTS)))]
    bags = bag.nearest_priors(scene, OPTIONS.bag_size)
    assert (bags.kept.sum(axis=1) == 4).all()
    assert all(set(row[kept].tolist()) == {3, 4, 5, 6} for row, kept in zip(bags.prior, bags.kept, strict=True))
    tiny = scene._replace(truth=jax.tree.map(lambda x: x[0], truth_of([([[40, 40, 41, 41]], [0])])))
    tiny = tiny._replace(priors=tiny.priors._replace(valid=PRIORS.valid[0]))
    overlap = np.asarray(twin.iou(np.array([40.0, 40, 41, 41]), np.asarray(PRIORS.boxes[0])))
    np.testing.assert_array_equal(
        bag.nearest_priors(tiny, OPTIONS.bag_size).prior[0], np.argsort(-overlap, kind="stable")[:40]
    )


def test_certain_classes():
    """Logits of 200 and -200 keep losses and gradients finite, wherever boxes fit."""
    logits = jnp.array([[200.0, -200.0, 200.0, 0.0]])
    fit = jnp.array([[0.0, 0.0, 1.0, 1.0]])

    def loss(z):
        return bag.background_losses(jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z), fit)

    slopes = jax.grad(lambda z: loss(z).sum())(logits)
    np.testing.assert_allclose(loss(logits), [[200, 0, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(slopes, [[1, 0, 0, 0]], atol=1e-6)
