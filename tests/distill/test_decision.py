"""A decision about one picture: the assignment that a training step gets, and what led to it."""

import jax
import numpy as np
import pytest

from lad_jax.assign import ASSIGNERS, AssignerOptions, make_assigner
from lad_jax.distill import METHODS, known_costs, networks_with_costs, without_padding
from tests.decisions import N_OBJECTS, PICTURE, PREDICTIONS, SCENE, decided


@pytest.mark.parametrize("name", ASSIGNERS)
def test_the_assignment_is_that_of_the_batch(name):
    decision, batch = decided(name, batch=True)
    jax.tree.map(
        np.testing.assert_array_equal, decision.verdict.assignment, jax.tree.map(lambda x: x[0], batch.assignment)
    )
    counted = [(decision.tables["student"].compared & (decision.source == i)).sum() for i in range(2)]
    np.testing.assert_array_equal(counted, batch.compared[PICTURE])


@pytest.mark.parametrize("name", ["paa", "tal"])
def test_alone_a_network_assigns_as_in_plain_training(name):
    (decision, _), (plain, _) = decided(name, batch=True), decided(name, "plain")
    assert set(decision.alone) == {"student", "teacher"} and set(plain.alone) == {"teacher"}
    jax.tree.map(np.testing.assert_array_equal, decision.alone["student"].assignment, plain.verdict.assignment)
    assert (decision.alone["teacher"].assignment.object != plain.verdict.assignment.object).any()


def test_other_networks_costs_are_there_without_a_say():
    both, batch = decided("paa", "lad", batch=True)
    assert set(both.tables) == {"student", "teacher"} and set(both.alone) == {"student"}
    np.testing.assert_array_equal(both.verdict.assignment.object, batch.assignment.object[PICTURE])
    for network, table in both.tables.items():
        one = jax.tree.map(lambda x: x[PICTURE], (SCENE, PREDICTIONS[network]))
        np.testing.assert_allclose(table.cost, make_assigner(AssignerOptions()).cost(*one).cost, rtol=1e-5)


def test_a_picture_is_a_batch_of_its_own():
    of_batch, of_image = (decided("max_iou", scope=scope)[0] for scope in ("batch", "image"))
    np.testing.assert_array_equal(of_batch.source, of_image.source)


@pytest.mark.parametrize("name", ["max_iou", "tal"])
def test_rows_that_only_pad_are_dropped(name):
    trimmed = without_padding(decided(name, "plain")[0], N_OBJECTS)
    table = trimmed.tables["student"]
    if name == "tal":
        assert table.cost.shape[0] == trimmed.source.shape[0] == N_OBJECTS
        assert trimmed.verdict.explanation.entries["metric"].shape == table.cost.shape
    costs = known_costs(table)
    np.testing.assert_array_equal(np.isnan(costs), table.object < 0)
    np.testing.assert_array_equal(costs[table.object >= 0], table.cost[table.object >= 0])


def test_a_cost_that_is_not_finite_is_not_known():
    decision, _ = decided("paa", "plain", spoilt=True)
    assert np.isnan(known_costs(decision.tables["student"])).all() and (decision.verdict.assignment.object < 0).all()


@pytest.mark.parametrize(
    ("name", "method", "with_quality", "expected"),
    [
        ("paa", "plain", (True, True), ["student"]),
        ("paa", "lad", (True, False), ["student", "teacher"]),
        ("atss", "solad", (True, True), ["teacher"]),
    ],
)
def test_networks_with_costs(name, method, with_quality, expected):
    assigner = make_assigner(AssignerOptions(name=name))
    qualities = dict(zip(("student", "teacher"), with_quality, strict=True))
    assert list(networks_with_costs(METHODS[method], assigner, qualities)) == expected
    needy = assigner._replace(needs_quality=not assigner.static)
    assert set(networks_with_costs(METHODS[method], needy, qualities)) == {
        name for name in expected if assigner.static or qualities[name] or name in METHODS[method].costs_from
    }
