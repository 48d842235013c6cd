"""More objects than a tiny canvas has priors: every assigner gives each prior to one object, or to none."""

from functools import partial

import jax
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from lad_jax.assign import ASSIGNERS, AssignerOptions, OTAOptions, make_assigner
from lad_jax.assign.ota import supplies, transport
from tests.networks import N_CLASSES, random_predictions
from tests.reference.example import priors_of, scene_of, truth_of

CANVAS, N_OBJECTS = (32, 40), 34
IMAGE_HW = np.array([CANVAS])
PRIORS = priors_of(CANVAS, IMAGE_HW)
N_PRIORS = PRIORS.valid.shape[1]


def scene_and_predictions():
    rng = np.random.default_rng(0)
    corner, side = rng.uniform(-4, 30, (N_OBJECTS, 2)), rng.uniform(6, 34, (N_OBJECTS, 2))
    objects = np.concatenate([corner, corner + side], axis=1), rng.integers(0, N_CLASSES, N_OBJECTS)
    scene = scene_of(PRIORS, truth_of([objects], 40), IMAGE_HW, progress=0.5)
    first = partial(jax.tree.map, lambda x: x[0])
    return first(scene), first(random_predictions(PRIORS, 0))


SCENE, PREDICTIONS = scene_and_predictions()


def assign(name):
    assigner = make_assigner(AssignerOptions(name=name))
    table = jax.jit(assigner.cost)(SCENE, PREDICTIONS)
    return table, jax.jit(assigner.partition)(table, SCENE)


@pytest.mark.parametrize("name", ASSIGNERS)
def test_each_prior_has_one_object_at_most(name):
    assert N_PRIORS < N_OBJECTS and np.asarray(PRIORS.valid).all()
    _, assignment = assign(name)
    owner = np.asarray(assignment.object)
    assert owner.shape == (N_PRIORS,) and (owner >= 0).any() and owner.max() < N_OBJECTS
    assert np.isfinite(assignment.target).all() and np.isfinite(assignment.weight).all()


def test_a_matching_leaves_those_without_a_prior_that_cost_most():
    """All priors are used, at the least total cost that there is (SciPy's)."""
    table, assignment = assign("hungarian")
    exact, owner = np.asarray(table.besides["exact"])[:N_OBJECTS], np.asarray(assignment.object)
    assert sorted(set(owner)) == sorted(owner) and (owner >= 0).all()
    ours = exact[owner, np.arange(N_PRIORS)].sum()
    assert ours == pytest.approx(exact[linear_sum_assignment(exact)].sum(), rel=1e-5)


def test_objects_never_supply_all_priors():
    """The background keeps one, the others are lowered in proportion, and the plan stays finite."""
    table, _ = assign("ota")
    ours = np.asarray(supplies(table, SCENE, OTAOptions()))
    assert ours.sum() == pytest.approx(N_PRIORS, rel=1e-5) and ours[-1] == pytest.approx(1, abs=1e-4)
    assert (ours[:N_OBJECTS] > 0).all() and not ours[N_OBJECTS:-1].any()
    iou = np.where(table.compared, table.besides["iou"], 0)[:N_OBJECTS]
    k = np.maximum(np.floor(np.sort(iou, axis=1)[:, -20:].sum(axis=1)), 1)
    assert k.sum() > N_PRIORS and k.max() > 1
    np.testing.assert_allclose(ours[:N_OBJECTS], k * (N_PRIORS - 1) / k.sum(), rtol=1e-5)
    plan = np.exp(np.asarray(transport(table, SCENE, OTAOptions()).log_plan))
    np.testing.assert_allclose(plan.sum(axis=1), ours, rtol=1e-4, atol=1e-6)
