"""FreeAnchor's bag loss against the reference implementation, on twelve pictures and the file's own bags.

Probabilities and weights: 5e-5. Losses: 5e-5. Gradients: 1e-3 of their size and 1e-7. P+ is ill-conditioned where an
object's best IoU is just above 0.6.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.losses import FreeAnchorOptions, bag
from tests.golden import pictures
from tests.reference import free_anchor as twin
from tests.reference.example import predictions_of

OPTIONS = FreeAnchorOptions(bag_size=40)


@jax.jit
def steps(bags, scene, predictions):
    """Arrays of a picture by the reference's names, but those of the whole loss."""
    log_class, log_box = bag.log_probabilities(predictions, scene, bags, OPTIONS.box_weight)
    log_s = log_class + log_box
    return {
        "bag_class_prob": jnp.exp(log_class),
        "bag_box_prob": jnp.exp(log_box),
        "bag_weight": jnp.exp(bag.log_weights(log_s, bags.kept)),
        "bag_loss": -bag.log_bags(log_s, bags.kept),
    }


@jax.jit
@partial(jax.grad, argnums=(0, 1), has_aux=True)
def gradients(logits, deltas, bags, scene):
    predictions = predictions_of(logits, deltas, jnp.zeros(len(logits)), scene.priors.boxes)
    sums = bag.sums_of_bags(predictions, scene, bags, OPTIONS)
    divisors = bag.bag_divisors(sums.measures, jnp.ones((), jnp.int32), bag_size=OPTIONS.bag_size)
    terms = {name: value / divisors[name] for name, value in sums.terms.items()}
    return sum(terms.values()), terms


@pytest.fixture(scope="module")
def file(golden):
    return pictures.read(golden / "assign_mal.npz")


@pytest.fixture(params=range(12))
def case(request, file):
    """A picture's arrays, the places of its priors, its scene and predictions, and the file's bags in these places."""
    arrays, place = file.arrays[request.param], file.places[request.param]
    scene, predictions = jax.tree.map(lambda x: x[request.param], (file.scene, file.predictions))
    prior = np.zeros((len(scene.truth.labels), OPTIONS.bag_size), np.int32)
    prior[: len(arrays["bag"])] = place[arrays["bag"]]
    bags = bag.Bags(jnp.asarray(prior), jnp.broadcast_to(scene.truth.objects[:, None], prior.shape))
    return arrays, place, scene, predictions, bags


def test_bags(case):
    """Those that do not hang on ties."""
    arrays, place, scene, _, _ = case
    ours = bag.nearest_priors(scene, OPTIONS.bag_size)
    decided = np.flatnonzero(~arrays["undecided"])
    np.testing.assert_array_equal(np.sort(ours.prior, axis=1)[decided], place[arrays["bag"][decided]])
    np.testing.assert_array_equal(ours.kept, np.broadcast_to(scene.truth.objects[:, None], ours.kept.shape))


def test_probabilities_and_weights(case):
    arrays, _, scene, predictions, bags = case
    for name, ours in steps(bags, scene, predictions).items():
        assert np.isfinite(ours).all()
        np.testing.assert_allclose(ours[: len(arrays[name])], arrays[name], rtol=5e-5, atol=1e-30, err_msg=name)


def test_box_probabilities(case):
    """By the reference's boxes: its rounding of a box moves a small one's IoU by more than the tolerance."""
    arrays, place, scene, predictions, _ = case
    predicted = predictions.boxes.at[place].set(arrays["boxes"])
    fit = bag.box_probabilities(predictions._replace(boxes=predicted), scene, OPTIONS.min_iou)
    tolerance = np.full(fit.shape[1], 1e-6)
    for box, label in zip(arrays["gt_boxes"].astype(np.float64), arrays["gt_labels"], strict=True):
        above = np.max(twin.iou(box, arrays["boxes"].astype(np.float64))[arrays["valid"]]) - 0.6
        tolerance[label] = max(tolerance[label], 5e-7 / above if above > 0 else 0)
    error = np.abs(np.asarray(fit)[place] - arrays["box_prob"])[arrays["valid"]]
    assert (error <= tolerance).all(), error.max(axis=0) / tolerance


def test_losses_and_gradients(case):
    arrays, place, scene, predictions, bags = case
    logits = predictions.class_log_p - predictions.class_log_not_p
    logits, deltas = logits.at[place].set(arrays["cls_logits"]), predictions.box_deltas
    found, terms = gradients(logits, deltas, bags, scene)
    np.testing.assert_allclose(terms["bag_positive"], arrays["loss_positive"], rtol=5e-5)
    np.testing.assert_allclose(terms["bag_negative"], arrays["loss_negative"], rtol=5e-5)
    for ours, name in zip(found, ("grad_logits", "grad_deltas"), strict=True):
        np.testing.assert_allclose(np.asarray(ours)[place], arrays[name], rtol=1e-3, atol=1e-7, err_msg=name)
        assert not np.delete(np.asarray(ours), place, axis=0).any()
