"""Whose costs decide: the worked LAD and CoLAD rows of spec 12.3, the switch against its twin, and degenerate cells."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax import losses, masked
from lad_jax.assign import AssignerOptions, make_assigner
from lad_jax.distill import METHODS, policy, teacher_is_better
from tests.reference import paa as twin
from tests.reference.example import (
    CANVAS,
    IMAGE_HW,
    N_LEVELS,
    NO_OBJECTS,
    OBJECTS,
    outputs,
    predictions_of,
    priors_of,
    truth_of,
)

PRIORS = priors_of(CANVAS, IMAGE_HW)
ASSIGNER = make_assigner(AssignerOptions(), N_LEVELS)
PREDICTIONS = {
    name: predictions_of(*outputs(phase), PRIORS.boxes) for name, phase in [("student", 0.0), ("teacher", 0.8)]
}


@partial(jax.jit, static_argnames="method")
def assign(predictions, truth, *, method):
    tables = {n: jax.vmap(ASSIGNER.cost)(PRIORS, predictions[n], truth) for n in METHODS[method].costs_from}
    table, from_teacher = policy(tables, PRIORS, truth, n_levels=N_LEVELS)
    return tables, table, from_teacher, jax.vmap(ASSIGNER.partition)(table, PRIORS, truth)


@partial(jax.jit, static_argnames="weighting")
def loss(predictions, assignment, truth, *, weighting="uniform"):
    def sums(p, a, t):
        return losses.image_sums(p, a, t, box_weighting=weighting)

    return losses.normalise(jax.vmap(sums)(predictions, assignment, truth), jnp.array(2))


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
    tables, table, from_teacher, assignment = assign(PREDICTIONS, truth, method="colad")
    seen = 0
    for image, g, level, count, student, teacher, choice in SWITCH:
        cell = np.asarray((table.object[image] == g) & (PRIORS.level[image] == level))
        assert cell.sum() == count
        for name, expected in (("student", student), ("teacher", teacher)):
            cost = np.asarray(tables[name].cost[image])[cell]
            np.testing.assert_allclose(cost.std(ddof=1) / cost.mean(), expected, atol=5.1e-5)
        assert (np.asarray(from_teacher[image])[cell] == (choice == "T")).all()
        chosen = tables["teacher" if choice == "T" else "student"]
        np.testing.assert_array_equal(np.asarray(table.cost[image])[cell], np.asarray(chosen.cost[image])[cell])
        seen += count
    assert seen == (table.object >= 0).sum()  # no other cell has candidates
    assert not from_teacher[table.object < 0].any()

    first = "15 16 33 51 96 125 126 144 145 146 153 172 196 214 215 232 233 234 252 368 377 386 387"
    second = "23 41 104 108 125 126 144 151 152 169 170 171 333 343"
    assert positives(assignment) == [[int(a) for a in row.split()] for row in (first, second)]
    for name, expected in [
        ("student", [0.48218423, 0.77186483, 0.35040370]),
        ("teacher", [0.41995832, 0.77329510, 0.35129362]),
    ]:
        np.testing.assert_allclose(terms(PREDICTIONS[name], assignment, truth), expected, rtol=1e-5)


def test_no_objects_in_one_picture_worked():
    """N₊ and the number of pictures are of the whole batch."""
    truth = truth_of([NO_OBJECTS, OBJECTS[1]])
    *_, assignment = assign(PREDICTIONS, truth, method="paa")
    assert not assignment.positive[0].any()
    expected = [0.46912950, 0.77050525, 0.35061774]
    np.testing.assert_allclose(terms(PREDICTIONS["student"], assignment, truth, "iou"), expected, rtol=1e-5)


def random_cells(seed, n_cells, spread):
    rng = np.random.default_rng(seed)
    cell = rng.integers(0, n_cells + 1, 200).astype(np.int32)
    return cell, *(rng.normal(2, spread, (2, 200)).clip(0.1).astype(np.float32))


better = jax.jit(teacher_is_better, static_argnames="n_cells")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_cells", [15, 150])  # the latter mostly lone candidates
def test_switch_equals_the_twin(seed, n_cells):
    cell, student, teacher = random_cells(seed, n_cells, 0.3)
    decision = np.asarray(better(*map(jnp.asarray, (student, teacher, cell)), n_cells=n_cells))
    expected = twin.switch(
        student.astype(np.float64), teacher.astype(np.float64), np.where(cell < n_cells, cell, -1), 0 * cell, n_cells
    )
    ours = decision[cell] & (cell < n_cells)
    np.testing.assert_array_equal(ours, expected)
    assert 0 < expected.mean() < 1


def decide(student, teacher):
    cell = jnp.zeros(len(student), jnp.int32)
    return bool(better(jnp.array(student), jnp.array(teacher), cell, n_cells=1)[0])


def test_ties_and_lone_candidates():
    assert decide([1.0, 2, 3], [1.0, 2, 3])  # a tie goes to the teacher
    assert decide([1.0, 2, 3], [3.0, 1, 2])
    assert decide([1.0, 1, 1], [2.0, 2, 2])  # no deviation in either: also a tie
    assert not decide([1.5], [1.5])  # of lone candidates to the student
    assert decide([1.5], [1.4]) and not decide([1.4], [1.5])


def test_scale_does_not_matter_to_the_switch():
    cell, student, teacher = random_cells(9, 15, 0.3)
    plain = better(*map(jnp.asarray, (student, teacher, cell)), n_cells=15)
    scaled = better(*map(jnp.asarray, (student, 8 * teacher, cell)), n_cells=15)
    lone = np.bincount(cell, minlength=16) == 1
    np.testing.assert_array_equal(np.asarray(plain)[~lone], np.asarray(scaled)[~lone])


def test_a_network_without_finite_costs_does_not_teach():
    worst = masked.WORST
    assert not decide([1.0, 1.1, 1.2], [1.0, worst, 2.0])
    assert decide([1.0, worst, 2.0], [1.0, 1.1, 1.2])
    assert decide([worst], [2.0]) and not decide([2.0], [worst])


def test_methods():
    """The table of design 1."""
    assert {name: (m.trained, m.costs_from, m.frozen) for name, m in METHODS.items()} == {
        "paa": (("student",), ("student",), ()),
        "lad": (("student",), ("teacher",), ("teacher",)),
        "dynamic_lad": (("student",), ("student", "teacher"), ("teacher",)),
        "colad": (("student", "teacher"), ("student", "teacher"), ()),
    }
    assert {name for name, m in METHODS.items() if m.box_weighting == "iou"} == {"paa"}
