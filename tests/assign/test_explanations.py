"""The reasons that assigners give: figures that are computed here by other means from the same table."""

import jax
import numpy as np
import pytest

from lad_jax.assign import ASSIGNERS, AssignerOptions, make_assigner
from lad_jax.testing.drawn import draw_predictions, draw_scene, draw_trained_predictions
from tests.reference import paa as twin

SCENE = jax.tree.map(lambda x: np.asarray(x)[0], draw_scene())
N_OBJECTS = int(SCENE.truth.mask.sum())
LEVEL = SCENE.priors.levels.of_prior


def explained(name, *, trained=False):
    """An assigner's table, partition and reasons for a picture of seven objects."""
    batch, assigner = draw_scene(), make_assigner(AssignerOptions(name=name))
    drawn = draw_trained_predictions(batch, 3, 0) if trained else draw_predictions(batch.priors, 3, 0)
    predictions = jax.tree.map(lambda x: x[0], drawn)

    @jax.jit
    def answer(predictions, scene):
        table = assigner.cost(scene, predictions)
        return table, assigner.partition(table, scene), assigner.explain(table, scene)

    return predictions, *jax.device_get(answer(predictions, SCENE))


def test_who_gives_reasons():
    assert {name for name in ASSIGNERS if make_assigner(AssignerOptions(name=name)).explain} == {
        *("paa", "atss", "ota", "tal")
    }


def test_paa_gives_the_mixture_that_scikit_learn_fits():
    """And up to the largest cost of a positive all of the object's candidates that entered are positive."""
    _, table, assignment, reasons = explained("paa")
    figures, checked = reasons.objects, 0
    for g in range(N_OBJECTS):
        entered = twin.cheapest(table.object, table.cost, LEVEL, g)
        costs = table.cost[entered].astype(np.float64)
        if len(costs) < 2:
            assert all(np.isnan(x[g]).all() for x in figures.values())
            continue
        fitted = twin.mixture(costs)
        np.testing.assert_allclose(figures["means"][g], fitted.means_[:, 0], rtol=1e-4)
        np.testing.assert_allclose(figures["variances"][g], fitted.covariances_[:, 0], rtol=1e-3)
        np.testing.assert_allclose(figures["weights"][g], fitted.weights_, rtol=1e-4)
        assert figures["iterations"][g] == fitted.n_iter_
        positive = table.cost[assignment.object == g]
        assert set(positive) == set(table.cost[entered][costs <= positive.max(initial=0)])
        checked += 1
    assert checked > 3


def test_atss_gives_mean_and_deviation_of_its_candidates_ious():
    _, table, assignment, reasons = explained("atss")
    for g in range(N_OBJECTS):
        candidates = table.object[g] == g
        iou = twin.iou(SCENE.truth.boxes[g][None].astype(np.float64), SCENE.priors.boxes[candidates])
        expected = iou.mean(), iou.std(ddof=1), iou.mean() + iou.std(ddof=1)
        figures = [reasons.objects[name][g] for name in ("mean", "std", "threshold_iou")]
        np.testing.assert_allclose(figures, expected, rtol=1e-5)
        assert (1 - table.cost[g][assignment.object == g] >= figures[2] - 1e-6).all()


def test_ota_gives_supplies_and_a_plan_that_decides():
    _, table, assignment, reasons = explained("ota", trained=True)
    supply, plan = reasons.objects["supply"][:N_OBJECTS], reasons.entries["plan"][:N_OBJECTS]
    iou = np.where(table.compared, table.besides["iou"], 0)[:N_OBJECTS]
    largest = np.sort(iou, axis=1)[:, -20:].sum(axis=1)
    np.testing.assert_array_equal(supply, np.maximum(np.floor(largest), 1))
    np.testing.assert_allclose(plan.sum(axis=1), supply, rtol=1e-4)
    share = plan / plan.max(axis=1, keepdims=True)
    positive = assignment.object >= 0
    assert positive.sum() >= N_OBJECTS
    np.testing.assert_array_equal(share.argmax(axis=0)[positive], assignment.object[positive])


def test_tal_gives_the_metric_that_ranks_and_who_is_inside():
    """Every one of the best inside is positive, unless another object has it."""
    predictions, table, assignment, reasons = explained("tal", trained=True)
    boxes, labels = SCENE.truth.boxes[:N_OBJECTS], SCENE.truth.labels[:N_OBJECTS]
    iou = twin.iou(boxes[:, None].astype(np.float64), np.asarray(predictions.boxes)[None])
    metric = np.exp(np.asarray(predictions.class_log_p).T[labels]) * iou**6
    there = table.object[:N_OBJECTS] >= 0
    np.testing.assert_allclose(reasons.entries["metric"][:N_OBJECTS][there], metric[there], rtol=1e-4, atol=1e-9)
    (x, y), (x1, y1, x2, y2) = SCENE.priors.boxes.reshape(-1, 2, 2).mean(axis=1).T, boxes.T[..., None]
    inside = np.minimum(np.minimum(x - x1, x2 - x), np.minimum(y - y1, y2 - y)) > 0.01
    np.testing.assert_array_equal(reasons.entries["inside"][:N_OBJECTS][there], inside[there])
    for g in range(N_OBJECTS):
        best = np.argsort(-np.where(there[g], metric[g], -1), kind="stable")[:13]
        best = best[inside[g][best] & there[g][best] & (metric[g][best] > 0)]
        assert set(np.flatnonzero(assignment.object == g)) <= set(best)
        assert (assignment.object[best] >= 0).all()


@pytest.mark.parametrize("name", ["paa", "atss", "ota", "tal"])
def test_figures_have_the_shapes_of_objects_and_entries(name):
    _, table, _, reasons = explained(name)
    assert all(len(x) == len(SCENE.truth.labels) for x in reasons.objects.values())
    assert all(x.shape == table.cost.shape for x in reasons.entries.values())
