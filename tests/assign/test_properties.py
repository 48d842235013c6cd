"""What holds for every assigner of the table, on random predictions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.assign import ASSIGNERS, AssignerOptions, make_assigner
from tests.reference import paa as twin
from tests.reference.example import numpy_objects, predictions_of, priors_of, scene_of, truth_of

CANVAS, IMAGE_HW = (128, 160), np.array([[128, 160], [90, 125]])
PRIORS = priors_of(CANVAS, IMAGE_HW)
N_CLASSES = 3
SPREAD = [[4, 4, 36, 30], [60, 8, 118, 40], [128, 10, 150, 50], [8, 50, 50, 118], [70, 60, 90, 84], [104, 64, 150, 120]]
"""Six objects apart from each other, so that no two of them claim the same prior."""


@pytest.fixture(scope="module", params=sorted(ASSIGNERS))
def assign(request):
    """Both functions of an assigner, in one jitted call on a batch."""
    assigner = make_assigner(AssignerOptions(name=request.param))

    def run(predictions, truth):
        scene = scene_of(PRIORS, truth)
        tables = jax.vmap(assigner.cost)(scene, predictions)
        return tables, jax.vmap(assigner.partition)(tables, scene)

    return jax.jit(run)


def predictions(seed):
    rng = np.random.default_rng(seed)
    shape = PRIORS.valid.shape
    logits = rng.normal(-3, 1, (*shape, N_CLASSES))
    raw = (logits, rng.normal(0, 0.8, (*shape, 4)), rng.normal(0, 1, shape))
    return predictions_of(*(x.astype(np.float32) for x in raw), PRIORS.boxes)


def objects(seed, n):
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(0, 100, (n, 2)), np.exp(rng.uniform(1.5, 4.5, (n, 2)))
    return np.concatenate([corner, corner + side], axis=1), rng.integers(0, N_CLASSES, n)


@pytest.mark.parametrize("seed", range(3))
def test_positives_are_valid_priors_of_real_objects(assign, seed):
    truth = truth_of([objects(seed, 7), objects(10 + seed, 2)], 8)
    tables, assignment = assign(predictions(seed), truth)
    owner, positive = np.asarray(assignment.object), np.asarray(assignment.positive)
    np.testing.assert_array_equal(owner >= 0, positive)
    assert positive.any() and not positive[~np.asarray(PRIORS.valid)].any()
    np.testing.assert_array_equal(np.asarray(assignment.weight)[positive], 1)
    assert not np.asarray(assignment.weight)[~np.asarray(PRIORS.valid)].any()
    for i in range(2):
        assert np.asarray(truth.objects[i])[owner[i][positive[i]]].all()
        assert (np.asarray(tables.object[i])[positive[i]] == owner[i][positive[i]]).all()


def test_padding_of_objects_does_not_matter(assign):
    listed = [objects(1, 6), objects(2, 3)]
    (_, few), (_, many) = assign(predictions(1), truth_of(listed, 8)), assign(predictions(1), truth_of(listed, 16))
    for a, b in zip(few, many, strict=True):
        np.testing.assert_array_equal(a, b)


def test_permuting_objects_permutes_the_assignment(assign):
    labels = np.array([0, 1, 2, 0, 1, 2])
    order = np.array([3, 5, 0, 2, 4, 1])
    plain = assign(predictions(2), truth_of([(SPREAD, labels)] * 2, 8))
    permuted = assign(predictions(2), truth_of([(np.array(SPREAD)[order], labels[order])] * 2, 8))
    for of in (0, 1):
        owner, moved = np.asarray(plain[of].object), np.asarray(permuted[of].object)
        np.testing.assert_array_equal(np.where(moved >= 0, order[moved], -1), owner)
    np.testing.assert_array_equal(plain[1].positive, permuted[1].positive)
    assert plain[1].positive.sum() >= 6


def test_pictures_do_not_see_each_other(assign):
    together = assign(predictions(3), truth_of([objects(3, 6), objects(4, 4)], 8))[1]
    other = predictions(3)._replace(boxes=predictions(3).boxes.at[1].add(5.0))
    apart = assign(other, truth_of([objects(3, 6), objects(5, 8)], 8))[1]
    np.testing.assert_array_equal(together.object[0], apart.object[0])
    assert (np.asarray(together.object[1]) != np.asarray(apart.object[1])).any()


def test_no_objects_no_positives(assign):
    _, assignment = assign(predictions(4), truth_of([([], []), ([], [])], 8))
    assert not assignment.positive.any() and (assignment.object == -1).all()
    np.testing.assert_array_equal(assignment.weight, PRIORS.valid)


def test_predictions_that_are_not_finite_stay_where_they_are(assign):
    truth = truth_of([objects(6, 6), objects(7, 4)], 8)
    sound = predictions(6)
    spoiled = jax.tree.map(lambda x: x.at[0].set(jnp.nan), sound)
    tables, assignment = assign(spoiled, truth)
    assert np.isfinite(tables.cost).all()
    assert not assignment.positive[0].any()
    np.testing.assert_array_equal(assignment.object[1], assign(sound, truth)[1].object[1])


@pytest.mark.parametrize("seed", range(4))
def test_ties_for_a_prior_go_as_in_the_twin(assign, seed):
    """Crowded pictures, where several objects claim the same prior: the later object wins (PAA's candidates)."""
    rng = np.random.default_rng(seed)
    rows, labels = objects(seed, 8)
    rows = np.concatenate([rows, rows[rng.permutation(8)]])
    truth = truth_of([(rows, np.tile(labels, 2))] * 2, 16)
    tables, _ = assign(predictions(seed), truth)
    for i in range(2):
        boxes, _ = numpy_objects(truth, i)
        expected = twin.pre_assign(np.asarray(PRIORS.boxes[i]), np.asarray(PRIORS.valid[i]), boxes)
        np.testing.assert_array_equal(tables.object[i], expected)
