"""What holds for assigners: the laws of all, and each capability for those of the table that have it."""

import copy
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.assign import ASSIGNERS, AssignerOptions, make_assigner
from lad_jax.testing import LAWS, Subject
from lad_jax.testing.drawn import draw_scene

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
    "max_iou": {"static", "compact", "ignores"},
    "atss": {"static", "point_inside"},
    "fcos": {"static", "point_inside"},
    "simota": {"nothing_for_nan"},
    "ota": {"nothing_for_nan"},
    "tal": {"soft_target", "point_inside", "nothing_for_nan"},
    "hungarian": {"one_to_one", "nothing_for_nan"},
    "mal": {"compact", "needs_progress", "nothing_for_nan"},
    "dynamic_soft_label": {"soft_target", "nothing_for_nan"},
}
"""The assigners, and the capabilities of each."""
every = pytest.mark.parametrize("name", TABLE, scope="module")  # all of an assigner in turn: it is compiled once
SCENE = draw_scene()
VALID = np.asarray(SCENE.priors.valid)


@functools.cache
def subject(name):
    return Subject(make_assigner(AssignerOptions(name=name)))


def having(capability, *, present=True):
    """Run a test for the assigners with a capability, or without it."""
    return pytest.mark.parametrize("name", [name for name, has in TABLE.items() if (capability in has) == present])


def answer(name, progress=0.5):
    return subject(name).answer(subject(name).predictions(0), SCENE._replace(progress=jnp.full(2, progress)))


def test_the_table_has_every_assigner():
    assert set(TABLE) == set(ASSIGNERS)
    assert set().union(*TABLE.values()) <= set(CAPABILITIES)


@every
@pytest.mark.parametrize("law", LAWS)
def test_laws(name, law):
    assert not LAWS[law].seen(subject(name))


@every
@pytest.mark.parametrize("law", ["entries", "positives", "weights", "targets"])
@pytest.mark.parametrize("seed", [1, 2])
def test_laws_of_one_answer_on_other_pictures(name, law, seed):
    other = copy.copy(subject(name))
    other.scene = draw_scene(seed)
    assert not LAWS[law].seen(other)


@every
def test_flags_say_what_the_laws_hold_the_assigner_to(name):
    assigner = subject(name).assigner
    assert (assigner.static, assigner.soft_target) == ("static" in TABLE[name], "soft_target" in TABLE[name])


@having("nothing_for_nan")
def test_predictions_that_are_not_finite_give_no_positives(name):
    spoiled = jax.tree.map(lambda x: x.at[0].set(jnp.nan), subject(name).predictions(0))
    owner = subject(name).answer(spoiled).assignment.object
    assert (owner[0] == -1).all() and (owner[1] >= 0).any()


@every
def test_a_table_is_compact_or_has_every_pair(name):
    table = answer(name).table
    pair = VALID.shape if "compact" in TABLE[name] else (*SCENE.truth.labels.shape, VALID.shape[1])
    assert table.cost.shape == table.object.shape == pair


@having("one_to_one")
def test_every_object_has_one_prior(name):
    owner = answer(name).assignment.object
    counts = (owner[:, None] == np.arange(SCENE.truth.labels.shape[1])[:, None]).sum(axis=2)
    np.testing.assert_array_equal(counts, SCENE.truth.objects)


@having("needs_progress")
def test_progress_matters(name):
    early, late = (answer(name, progress).assignment.object for progress in (0.0, 1.0))
    assert (early != late).any()


@having("needs_progress", present=False)
def test_progress_does_not_matter(name):
    early, late = (answer(name, progress) for progress in (0.0, 1.0))
    jax.tree.map(np.testing.assert_array_equal, early, late)


@having("ignores")
def test_some_priors_are_ignored(name):
    weight = answer(name).assignment.weight
    assert not weight[VALID].all() and set(np.unique(weight)) == {0, 1}


@having("ignores", present=False)
def test_every_valid_prior_counts(name):
    np.testing.assert_array_equal(answer(name).assignment.weight, VALID)


@having("point_inside")
def test_every_positive_is_centred_in_its_object(name):
    owner = answer(name).assignment.object
    box = np.asarray(SCENE.priors.boxes)
    point = (box[..., :2] + box[..., 2:]) / 2
    for of_prior, points, boxes in zip(owner, point, np.asarray(SCENE.truth.boxes), strict=True):
        inside, box = points[of_prior >= 0], boxes[of_prior[of_prior >= 0]]
        assert ((inside > box[:, :2]) & (inside < box[:, 2:])).all()
