"""Whose costs decide: the worked LAD and CoLAD rows of spec 12.3, the switch against its twin, and degenerate cells."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.assign import AssignerOptions, make_assigner
from lad_jax.distill import METHODS, SwitchOptions, policy
from lad_jax.distill.cells import PICTURES
from lad_jax.types import CostTable
from tests.reference import paa as twin
from tests.reference.example import (
    CANVAS,
    IMAGE_HW,
    NO_OBJECTS,
    OBJECTS,
    loss_terms,
    outputs,
    predictions_of,
    priors_of,
    scene_of,
    truth_of,
)

PRIORS = priors_of(CANVAS, IMAGE_HW)
LEVEL = PRIORS.levels.of_prior
ASSIGNER, OBJECT_LEVEL = make_assigner(AssignerOptions()), SwitchOptions()
PREDICTIONS = {
    name: predictions_of(*outputs(phase), PRIORS.boxes) for name, phase in [("student", 0.0), ("teacher", 0.8)]
}


@partial(jax.jit, static_argnames=("method", "switch"))
def assign(predictions, truth, *, method, switch=OBJECT_LEVEL):
    scene = scene_of(PRIORS, truth)
    tables = {n: jax.vmap(ASSIGNER.cost)(scene, predictions[n]) for n in METHODS[method].costs_from}
    table, source = decide(tables, scene, switch)
    return tables, table, source, jax.vmap(ASSIGNER.partition)(table, scene)


def decide(tables, scene, switch):
    return jax.vmap(partial(policy, options=switch), axis_name=PICTURES)(tuple(tables.values()), scene)


@partial(jax.jit, static_argnames="weighting")
def loss(predictions, assignment, truth, *, weighting="uniform"):
    scene = scene_of(PRIORS, truth)
    return loss_terms(["detection"], predictions, assignment, scene, box_weighting=weighting)


def positives(assignment):
    return [np.flatnonzero(row).tolist() for row in np.asarray(assignment.positive)]


def terms(predictions, assignment, truth, weighting="uniform"):
    result = loss(predictions, assignment, truth, weighting=weighting)
    return [result[k] for k in ("class", "box", "quality")]


def test_lad_worked():
    truth = truth_of(OBJECTS)
    *_, assignment = assign(PREDICTIONS, truth, method="lad")
    first = "15 16 33 51 96 125 126 127 144 145 146 163 164 196 213 214 215 232 233 234 367 376 377 386"
    second = "23 41 104 108 125 126 144 151 152 169 170 171 333 376"
    assert positives(assignment) == [[int(a) for a in row.split()] for row in (first, second)]
    expected = [0.50681376, 0.76928049, 0.34988710]
    np.testing.assert_allclose(terms(PREDICTIONS["student"], assignment, truth), expected, rtol=1e-5)


# image, object, level, candidates, std/mean of student and teacher, who teaches
SWITCH = [
    (0, 0, 0, 117, 0.2320, 0.2363, "T"),
    (0, 0, 1, 37, 0.2137, 0.2107, "S"),
    (0, 1, 0, 88, 0.2215, 0.2311, "T"),
    (0, 1, 1, 42, 0.2555, 0.2481, "S"),
    (0, 1, 2, 16, 0.1626, 0.1718, "T"),
    (0, 2, 0, 35, 0.1474, 0.1517, "T"),
    (0, 3, 0, 38, 0.2134, 0.2016, "S"),
    (1, 0, 0, 35, 0.1682, 0.1726, "T"),
    (1, 1, 0, 134, 0.2184, 0.2187, "T"),
    (1, 1, 1, 47, 0.1738, 0.1599, "S"),
    (1, 1, 2, 12, 0.1580, 0.1631, "T"),
]


def test_colad_worked():
    truth = truth_of(OBJECTS)
    tables, table, teaches, assignment = assign(PREDICTIONS, truth, method="colad")
    seen = 0
    for image, g, level, count, student, teacher, choice in SWITCH:
        cell = np.asarray((table.object[image] == g) & (level == LEVEL))
        assert cell.sum() == count
        for name, expected in (("student", student), ("teacher", teacher)):
            cost = np.asarray(tables[name].cost[image])[cell]
            np.testing.assert_allclose(cost.std(ddof=1) / cost.mean(), expected, atol=5.1e-5)
        assert (np.asarray(teaches[image])[cell] == int(choice == "T")).all()
        chosen = tables["teacher" if choice == "T" else "student"]
        np.testing.assert_array_equal(np.asarray(table.cost[image])[cell], np.asarray(chosen.cost[image])[cell])
        seen += count
    assert seen == (table.object >= 0).sum()  # no other cell has candidates
    assert (teaches[table.object < 0] == -1).all()

    first = "15 16 33 51 96 125 126 144 145 146 153 172 196 214 215 232 233 234 252 368 377 386 387"
    second = "23 41 104 108 125 126 144 151 152 169 170 171 333 343"
    assert positives(assignment) == [[int(a) for a in row.split()] for row in (first, second)]
    for name, expected in [
        ("student", [0.48218423, 0.77186483, 0.35040370]),
        ("teacher", [0.41995832, 0.77329510, 0.35129362]),
    ]:
        np.testing.assert_allclose(terms(PREDICTIONS[name], assignment, truth), expected, rtol=1e-5)


@pytest.mark.parametrize("scope", ["object_level", "image", "batch"])
def test_a_picture_without_objects_has_nothing_to_decide(scope):
    """The reference stops there; here the other picture's decisions are what they are alone."""
    switch = SwitchOptions(scope=scope)
    _, table, teaches, assignment = assign(
        PREDICTIONS, truth_of([NO_OBJECTS, OBJECTS[1]]), method="colad", switch=switch
    )
    assert (table.object[0] == -1).all() and (teaches[0] == -1).all() and not assignment.positive[0].any()
    if scope != "batch":
        _, _, both, _ = assign(PREDICTIONS, truth_of([OBJECTS[0], OBJECTS[1]]), method="colad", switch=switch)
        np.testing.assert_array_equal(teaches[1], both[1])
    assert np.isfinite(table.cost).all() and assignment.positive[1].any()


def test_no_objects_in_one_picture_worked():
    """N₊ and the number of pictures are of the whole batch."""
    truth = truth_of([NO_OBJECTS, OBJECTS[1]])
    *_, assignment = assign(PREDICTIONS, truth, method="plain")
    assert not assignment.positive[0].any()
    expected = [0.46912950, 0.77050525, 0.35061774]
    np.testing.assert_allclose(terms(PREDICTIONS["student"], assignment, truth, "quality"), expected, rtol=1e-5)


@pytest.mark.parametrize("criterion", ["std_over_mean", "fisher"])
@pytest.mark.parametrize("scope", ["object_level", "object", "image", "batch"])
def test_scopes(scope, criterion):
    """Each scope's own cells, picked out by hand and compared by the definition of the score."""
    truth = truth_of(OBJECTS)
    options = SwitchOptions(criterion=criterion, scope=scope)
    tables, table, teaches, _ = assign(PREDICTIONS, truth, method="colad", switch=options)
    candidate = np.asarray(table.object)
    level = np.broadcast_to(LEVEL, candidate.shape)
    image = np.broadcast_to(np.arange(2)[:, None], candidate.shape)
    keys = {"object_level": (image, candidate, level), "object": (image, candidate), "image": (image,), "batch": ()}
    cell = np.zeros(candidate.shape, np.int64)
    for key in keys[scope]:
        cell = cell * 100 + key
    choices = []
    for number in np.unique(cell[candidate >= 0]):
        inside = (cell == number) & (candidate >= 0)
        scores = [twin.score(np.asarray(tables[n].cost, np.float64)[inside], criterion) for n in tables]
        choices.append(int(scores[1] >= scores[0]))
        np.testing.assert_array_equal(np.asarray(teaches)[inside], choices[-1])
    assert len(choices) == {"object_level": 11, "object": 6, "image": 2, "batch": 1}[scope]
    if scope == "object_level":
        assert 0 < np.mean(choices) < 1


def test_a_cohort_of_three_takes_the_best_of_each_cell():
    """Its third network: the teacher's costs where they would be chosen, made certain to be chosen in picture 0."""
    truth = truth_of(OBJECTS)
    tables, _, of_two, _ = assign(PREDICTIONS, truth, method="colad")
    third = tables["teacher"]._replace(cost=tables["teacher"].cost.at[0].power(6.0).at[1].set(1.0))
    table, of_three = decide({**tables, "peer_1": third}, scene_of(PRIORS, truth), SwitchOptions())
    is_candidate = np.asarray(table.object) >= 0
    np.testing.assert_array_equal(of_three[0], np.where(is_candidate[0], 2, -1))  # the most spread costs
    np.testing.assert_array_equal(of_three[1], of_two[1])  # costs without spread
    np.testing.assert_array_equal(np.asarray(table.cost[0])[is_candidate[0]], third.cost[0][is_candidate[0]])


def dense(table, n_objects):
    """The same entries as pairs of object and prior: [B, A] as [B, G, A]."""
    objects = jnp.arange(n_objects)[None, :, None]
    there = table.object[:, None] == objects
    cost = jnp.where(there, table.cost[:, None], 7.0)
    return CostTable(cost, jnp.where(there, objects, -1), there, {"double": 2 * cost})


@pytest.mark.parametrize("scope", ["object_level", "object", "image", "batch"])
@pytest.mark.parametrize("criterion", ["std_over_mean", "fisher"])
def test_a_dense_table_decides_as_the_compact_one(scope, criterion):
    """And what travels beside a cost is of the network that the cost is from."""
    truth, switch = truth_of(OBJECTS), SwitchOptions(criterion=criterion, scope=scope)
    tables, table, source, _ = assign(PREDICTIONS, truth, method="colad", switch=switch)
    pairs, source_of_pairs = decide(
        {name: dense(t, truth.labels.shape[1]) for name, t in tables.items()}, scene_of(PRIORS, truth), switch
    )
    there = np.asarray(pairs.object) >= 0
    np.testing.assert_array_equal(np.where(there, source_of_pairs, -1).max(axis=1), source)
    cost, beside = np.asarray(pairs.cost), np.asarray(pairs.besides["double"])
    np.testing.assert_array_equal(np.where(there, cost, 0).sum(axis=1), np.where(table.object >= 0, table.cost, 0))
    np.testing.assert_array_equal(beside[there], 2 * cost[there])
    assert (source_of_pairs == 0).any() or scope == "batch"


@pytest.mark.parametrize("layout", ["compact", "dense"])
def test_an_entry_that_is_not_compared_follows_its_cell(layout):
    """It has no part in the score; a cell of which nothing is compared follows the last network."""
    truth = truth_of(OBJECTS)
    tables, _, source, _ = assign(PREDICTIONS, truth, method="colad")
    candidate = np.asarray(tables["student"].object)
    left_out = (candidate == 0) & (LEVEL == 1)
    left_out |= (candidate == 1) & (np.arange(candidate.shape[1]) % 2 == 0)

    def without(table):
        return table._replace(compared=jnp.asarray(~left_out & (candidate >= 0)))

    changed = {name: without(t) for name, t in tables.items()}
    spoilt = {
        **changed,
        "student": changed["student"]._replace(
            cost=jnp.where(
                left_out, 1e3 * jnp.arange(candidate.shape[1], dtype=jnp.float32)[None], changed["student"].cost
            )
        ),
    }
    layouts = {
        "compact": lambda t: t,
        "dense": lambda t: dense(t, 8)._replace(compared=dense(t, 8).compared & t.compared[:, None]),
    }
    answers = []
    for networks in (changed, spoilt):
        _, answer = decide(
            {n: layouts[layout](t) for n, t in networks.items()}, scene_of(PRIORS, truth_of(OBJECTS, 8)), OBJECT_LEVEL
        )
        answers.append(np.asarray(answer).max(axis=1) if layout == "dense" else np.asarray(answer))
    np.testing.assert_array_equal(*answers)
    first = left_out & (candidate == 0)
    assert first.any() and (answers[0][first] == 1).all() and (np.asarray(source)[first] == 0).all()
