"""What holds for assigners, on random predictions: each property for those of the table that it is a property of."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.assign import ASSIGNERS, AssignerOptions, make_assigner
from tests.networks import N_CLASSES, random_predictions
from tests.reference.example import priors_of, scene_of, truth_of

CAPABILITIES = {
    "static": "Costs and answer are of boxes alone; of all others predictions change the answer.",
    "compact": "A cost for each prior, not for each pair of object and prior.",
    "one_to_one": "Every object has exactly one prior.",
    "soft_target": "The targets of positives lie in 0 to 1; those of all others are 1.",
    "needs_progress": "The answer depends on how far the training is.",
    "ignores": "Some valid priors are neither positive nor negative.",
    "point_inside": "The centre of every positive prior lies in its object.",
    "nothing_for_nan": "Of a picture without a finite cost no prior is positive.",
}
TABLE = {
    "paa": {"compact", "nothing_for_nan"},
}
"""The assigners, and the capabilities of each."""

CANVAS, IMAGE_HW = (128, 160), np.array([[128, 160], [90, 125]])
PRIORS = priors_of(CANVAS, IMAGE_HW)
VALID = np.asarray(PRIORS.valid)
SPREAD = [[4, 4, 36, 30], [60, 8, 118, 40], [128, 10, 150, 50], [8, 50, 50, 118], [70, 60, 90, 84], [104, 64, 150, 120]]
"""Six objects apart from each other, so that no two of them claim the same prior."""


@functools.cache
def compiled(name):
    assigner = make_assigner(AssignerOptions(name=name))

    def of_picture(scene, predictions):
        table = assigner.cost(scene, predictions)
        return table, assigner.partition(table, scene)

    return jax.jit(jax.vmap(of_picture))


def assign(name, predictions, truth, progress=0.5):
    """The cost tables and assignments of two pictures."""
    return compiled(name)(scene_of(PRIORS, truth, IMAGE_HW, progress), predictions)


def having(capability, *, present=True):
    """Run a test for the assigners with a capability, or without it."""
    return pytest.mark.parametrize("name", [name for name, has in TABLE.items() if (capability in has) == present])


every = pytest.mark.parametrize("name", TABLE)
predictions = functools.partial(random_predictions, PRIORS)


def objects(seed, n):
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(0, 100, (n, 2)), np.exp(rng.uniform(1.5, 4.5, (n, 2)))
    return np.concatenate([corner, corner + side], axis=1), rng.integers(0, N_CLASSES, n)


def several(seed):
    """Objects of all sizes in both pictures, some of which claim the same priors."""
    return truth_of([objects(seed, 7), objects(10 + seed, 2)], 8)


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_the_table_has_every_assigner():
    assert set(TABLE) == set(ASSIGNERS)
    assert set().union(*TABLE.values()) <= set(CAPABILITIES)


@every
@pytest.mark.parametrize("seed", range(3))
def test_positives_are_valid_priors_of_real_objects(name, seed):
    truth = several(seed)
    tables, assignment = assign(name, predictions(seed), truth)
    owner, positive = np.asarray(assignment.object), np.asarray(assignment.positive)
    np.testing.assert_array_equal(owner >= 0, positive)
    assert positive.any() and not positive[~VALID].any()
    np.testing.assert_array_equal(np.asarray(assignment.weight)[positive], 1)
    assert not np.asarray(assignment.weight)[~VALID].any()
    for i in range(2):
        assert np.asarray(truth.objects[i])[owner[i][positive[i]]].all()
        candidates = np.atleast_2d(tables.object[i])
        assert (candidates == owner[i]).any(axis=0)[positive[i]].all()


@every
def test_costs_are_finite_and_at_least_0(name):
    tables, _ = assign(name, predictions(0), several(0))
    may_be_chosen = np.asarray(tables.object) >= 0
    assert may_be_chosen.any() and (np.asarray(tables.cost)[may_be_chosen] >= 0).all()
    assert np.isfinite(tables.cost).all()


@every
def test_padding_of_objects_does_not_matter(name):
    listed = [objects(1, 6), objects(2, 3)]
    few, many = (assign(name, predictions(1), truth_of(listed, size)) for size in (8, 16))
    assert_same(few[1], many[1])
    if "compact" in TABLE[name]:
        assert_same(few[0], many[0])
    else:
        assert_same(few[0], jax.tree.map(lambda x: x[:, :8], many[0]))


@every
def test_predictions_at_priors_that_are_not_valid_do_not_matter(name):
    sound = predictions(1)
    spoiled = jax.tree.map(lambda x: jnp.where(VALID.reshape(*VALID.shape, *[1] * (x.ndim - 2)), x, jnp.nan), sound)
    assert not VALID.all()
    assert_same(assign(name, spoiled, several(1))[1], assign(name, sound, several(1))[1])


@every
def test_permuting_objects_permutes_the_assignment(name):
    labels, order = np.array([0, 1, 2, 0, 1, 2]), np.array([3, 5, 0, 2, 4, 1])
    plain = assign(name, predictions(2), truth_of([(SPREAD, labels)] * 2, 8))
    permuted = assign(name, predictions(2), truth_of([(np.array(SPREAD)[order], labels[order])] * 2, 8))
    for of in (0, 1) if "compact" in TABLE[name] else (1,):
        owner, moved = np.asarray(plain[of].object), np.asarray(permuted[of].object)
        np.testing.assert_array_equal(np.where(moved >= 0, order[moved], -1), owner)
    assert plain[1].positive.sum() >= 6


@every
def test_pictures_do_not_see_each_other(name):
    together = assign(name, predictions(3), truth_of([objects(3, 6), objects(4, 4)], 8))[1]
    other = predictions(3)._replace(boxes=predictions(3).boxes.at[1].add(5.0))
    alone = assign(name, other, truth_of([objects(3, 6), objects(5, 8)], 8))[1]
    np.testing.assert_array_equal(together.object[0], alone.object[0])
    assert (np.asarray(together.object[1]) != np.asarray(alone.object[1])).any()


@every
def test_no_objects_no_positives(name):
    tables, assignment = assign(name, predictions(4), truth_of([([], []), ([], [])], 8))
    assert not assignment.positive.any() and (assignment.object == -1).all()
    assert (tables.object == -1).all() and np.isfinite(tables.cost).all()
    np.testing.assert_array_equal(assignment.weight, VALID)


@every
def test_predictions_that_are_not_finite_stay_where_they_are(name):
    spoiled = jax.tree.map(lambda x: x.at[0].set(jnp.nan), predictions(6))
    tables, assignment = assign(name, spoiled, several(6))
    assert np.isfinite(tables.cost).all() and np.isfinite(assignment.weight).all()
    expected = assign(name, predictions(6), several(6))[1]
    assert_same(*(jax.tree.map(lambda x: x[1], answer) for answer in (assignment, expected)))


@having("nothing_for_nan")
def test_predictions_that_are_not_finite_give_no_positives(name):
    spoiled = jax.tree.map(lambda x: x.at[0].set(jnp.nan), predictions(6))
    assert not assign(name, spoiled, several(6))[1].positive[0].any()


@having("static")
def test_predictions_do_not_matter(name):
    assert_same(assign(name, predictions(0), several(0)), assign(name, predictions(1), several(0)))


@having("static", present=False)
def test_predictions_matter(name):
    one, other = (assign(name, predictions(seed), several(0))[1].object for seed in (0, 1))
    assert (np.asarray(one) != np.asarray(other)).any()


@every
def test_a_table_is_compact_or_has_every_pair(name):
    tables, _ = assign(name, predictions(0), several(0))
    pair = PRIORS.valid.shape if "compact" in TABLE[name] else (VALID.shape[0], 8, VALID.shape[1])
    assert tables.cost.shape == tables.object.shape == pair


@having("one_to_one")
def test_every_object_has_one_prior(name):
    truth = several(0)
    owner = np.asarray(assign(name, predictions(0), truth)[1].object)
    counts = (owner[:, None] == np.arange(8)[:, None]).sum(axis=2)
    np.testing.assert_array_equal(counts, truth.objects)


@having("needs_progress")
def test_progress_matters(name):
    early, late = (assign(name, predictions(0), several(0), progress)[1].object for progress in (0.0, 1.0))
    assert (np.asarray(early) != np.asarray(late)).any()


@having("needs_progress", present=False)
def test_progress_does_not_matter(name):
    assert_same(*(assign(name, predictions(0), several(0), progress) for progress in (0.0, 1.0)))


@having("ignores")
def test_some_priors_are_ignored(name):
    weight = np.asarray(assign(name, predictions(0), several(0))[1].weight)
    assert not weight[VALID].all() and set(np.unique(weight)) == {0, 1}


@having("ignores", present=False)
def test_every_valid_prior_counts(name):
    np.testing.assert_array_equal(assign(name, predictions(0), several(0))[1].weight, VALID)


@having("soft_target")
def test_targets_of_positives_are_soft(name):
    assignment = assign(name, predictions(0), several(0))[1]
    target = np.asarray(assignment.target)[np.asarray(assignment.positive)]
    assert ((target > 0) & (target <= 1)).all() and (target < 1).any()


@having("point_inside")
def test_every_positive_is_centred_in_its_object(name):
    truth = several(0)
    owner = np.asarray(assign(name, predictions(0), truth)[1].object)
    point = (np.asarray(PRIORS.boxes)[..., :2] + np.asarray(PRIORS.boxes)[..., 2:]) / 2
    for of_prior, points, boxes in zip(owner, point, np.asarray(truth.boxes), strict=True):
        inside, box = points[of_prior >= 0], boxes[of_prior[of_prior >= 0]]
        assert ((inside > box[:, :2]) & (inside < box[:, 2:])).all()
