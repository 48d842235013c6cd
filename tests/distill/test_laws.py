"""Laws of the assignment of a batch, for every assigner under every method, on random predictions (design 4)."""

import functools
from dataclasses import replace
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.assign import ASSIGNERS, AssignerOptions, make_assigner
from lad_jax.distill import METHODS, SwitchOptions, assign_batch, assignment
from lad_jax.distill.cells import Scope
from lad_jax.testing.drawn import N_CLASSES, draw_predictions, draw_scene
from tests.reference.example import loss_terms

SCENE = draw_scene()
SCOPES = get_args(Scope)
WITH_PEERS = replace(METHODS["colad"], costs_from=("student", "teacher", "peer_1"))
ROWS = {**METHODS, "colad_with_peers": WITH_PEERS}
CHOICES = {row.costs_from: row for row in ROWS.values()}
"""A row of each choice of networks: rows that differ in losses alone have the same assignment."""

every = pytest.mark.parametrize("name", ASSIGNERS, scope="module")  # all of an assigner in turn: it is compiled once
predictions = functools.partial(draw_predictions, SCENE.priors, N_CLASSES)


@functools.partial(jax.jit, static_argnames=("name", "costs_from", "scope"))
def assign(networks, *, name, costs_from, scope="object_level"):
    assigner, switch = make_assigner(AssignerOptions(name=name)), SwitchOptions(scope=scope)
    return assign_batch(networks, SCENE, method=CHOICES[costs_from], assigner=assigner, switch=switch)


def networks_of(student, teacher, peer=None):
    return {"student": student, "teacher": teacher, "peer_1": teacher if peer is None else peer}


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def plain(name, p):
    return assign(networks_of(p, p), name=name, costs_from=("student",)).assignment


@every
def test_networks_that_agree_give_the_plain_assignment_bit_by_bit(name):
    """Under LAD and its switch, and under CoLAD of two and of three networks."""
    p = predictions(0)
    expected = plain(name, p)
    assert expected.positive.any()
    for costs_from in CHOICES:
        assert_same(assign(networks_of(p, p), name=name, costs_from=costs_from).assignment, expected)


@pytest.mark.parametrize("name", ["mal", "ota"])
@pytest.mark.parametrize("scope", SCOPES)
def test_whatever_the_switch_compares_networks_that_agree_give_the_plain_assignment(name, scope):
    """By a compact table and a dense one; how either decides where networks differ is `test_policy`'s."""
    p = predictions(0)
    assigned = assign(networks_of(p, p), name=name, costs_from=("student", "teacher"), scope=scope)
    assert_same(assigned.assignment, plain(name, p))


@every
def test_lad_is_the_teachers_plain_assignment_and_a_static_assigner_asks_nobody(name):
    student, teacher = predictions(0), predictions(1)
    networks = networks_of(student, teacher)
    lad = assign(networks, name=name, costs_from=("teacher",)).assignment
    assert_same(lad, plain(name, teacher))
    answers = [assign(networks, name=name, costs_from=costs_from).assignment.object for costs_from in CHOICES]
    if make_assigner(AssignerOptions(name=name)).static:
        for answer in answers:
            np.testing.assert_array_equal(answer, answers[0])
    else:
        assert (np.asarray(lad.object) != plain(name, student).object).any()


@every
@pytest.mark.parametrize("broken", ["student", "teacher"])
def test_a_network_without_a_finite_cost_leaves_all_to_the_other(name, broken):
    """So the switch equals LAD, or the plain method; also where entries are chosen from that are not compared."""
    sound = networks_of(predictions(0), predictions(1))
    spoiled = sound | {broken: jax.tree.map(lambda x: x.at[0].set(jnp.nan), sound[broken])}
    before, after = (assign(x, name=name, costs_from=("student", "teacher")) for x in (sound, spoiled))
    index, other = (1, "teacher") if broken == "student" else (0, "student")
    alone = assign(sound, name=name, costs_from=(other,))
    first, second = (functools.partial(jax.tree.map, lambda x, i=i: x[i]) for i in (0, 1))
    assert_same(first(after.assignment), first(alone.assignment))
    assert_same(second(after.assignment), second(before.assignment))
    if not make_assigner(AssignerOptions(name=name)).static:
        assert after.broken.tolist() == [True, False] and not before.broken.any()
        assert after.compared[0, 1 - index] == 0 and after.compared[0, index] > 0


@pytest.mark.parametrize("name", ["mal", "simota"])
def test_groups_of_pictures_change_nothing(name, monkeypatch):
    networks = networks_of(predictions(0), predictions(1))
    together = assign(networks, name=name, costs_from=("student", "teacher"))
    monkeypatch.setattr(assignment, "PAIRS_AT_ONCE", 1)
    assign.clear_cache()
    assert_same(assign(networks, name=name, costs_from=("student", "teacher")), together)
    assign.clear_cache()


@pytest.mark.parametrize(("name", "costs_from"), [("paa", ("student",)), ("tal", ("student", "teacher"))])
def test_no_gradient_flows_through_the_assignment(name, costs_from):
    """The loss moves each network by the assignment as a constant, a soft target included."""
    networks = networks_of(predictions(0), predictions(1))

    def loss(networks, given=None):
        given = given or assign(networks, name=name, costs_from=costs_from).assignment
        terms = loss_terms(["detection"], networks["student"], given, SCENE)
        return sum(terms.values()) + jnp.sum(given.target)

    through = jax.grad(loss)(networks)
    fixed = jax.grad(loss)(networks, assign(networks, name=name, costs_from=costs_from).assignment)
    assert_same(through, fixed)
    assert all(not g.any() for g in jax.tree.leaves(through["teacher"]))
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(through)) and through["student"].boxes.any()
