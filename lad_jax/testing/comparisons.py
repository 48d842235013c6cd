"""Laws that compare answers: functions that return what they saw against a law, or nothing."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lad_jax import masked
from lad_jax.testing.conditions import first
from lad_jax.testing.drawn import N_ROWS, SPREAD, draw_objects, truth_of
from lad_jax.testing.subject import OTHER_PROGRAM, Answer, Subject, difference, fields
from lad_jax.types import Assignment, CostTable


def finite(subject: Subject) -> str:
    """Look at all costs, and at whether predictions of picture 0 that are not finite change another picture."""
    usual = subject.networks()[""]
    for where, (table, assignment, broken, _) in subject.answers().items():
        has_object = table.object >= 0
        wrong = ~np.isfinite(table.cost) | ((table.cost < 0) & has_object)
        if wrong.any():
            return f"table.cost{first(wrong)} is {table.cost[wrong][0]}{where}"
        if where.endswith("nan") and not subject.assigner.static and has_object[0].any() and not broken[0]:
            return f"no cost of picture 0 is masked.WORST ({masked.WORST:g}){where}"
        if "picture 0" in where and (seen := difference(_others(table, assignment), _others(*usual[:2]))):
            return f"another picture changed: {seen}{where}"
    return ""


def invalid_priors(subject: Subject) -> str:
    """Compare answers for predictions that differ only at priors that are not valid."""
    valid, sound = subject.scene.priors.valid, subject.predictions(1)
    spoiled = jax.tree.map(lambda x: jnp.where(valid.reshape(*valid.shape, *[1] * (x.ndim - 2)), x, jnp.nan), sound)
    return _difference(subject.answer(sound), subject.answer(spoiled))


def padding(subject: Subject) -> str:
    """Compare answers for the same objects among more rows that only pad."""
    objects = [draw_objects(1, 6), draw_objects(2, 3)]
    few, many = (_with(subject, truth_of(objects, n_rows)) for n_rows in (N_ROWS, 2 * N_ROWS))
    if many.table.object.ndim == 3:
        many = many._replace(table=jax.tree.map(lambda x: x[:, :N_ROWS], many.table))
    return _difference(few, many, OTHER_PROGRAM)


def permuted_objects(subject: Subject) -> str:
    """Compare answers for objects in two orders."""
    order = np.array([3, 5, 0, 2, 4, 1])
    plain = _with(subject, truth_of([SPREAD] * 2)).assignment
    other = _with(subject, truth_of([(SPREAD[0][order], SPREAD[1][order])] * 2)).assignment
    renamed: Any = np.where(other.object >= 0, order[other.object], -1)
    return difference({"assignment": plain}, {"assignment": other._replace(object=renamed)}, OTHER_PROGRAM)


def permuted_priors(subject: Subject) -> str:
    """Compare answers for priors in two orders: each level backwards, since levels themselves are static."""
    priors = subject.scene.priors
    order = np.concatenate([np.arange(level.start, level.stop)[::-1] for level in priors.levels.slices])
    predictions = jax.tree.map(lambda x: x[:, order], subject.predictions(0))
    scene = subject.scene._replace(priors=jax.tree.map(lambda x: x[:, order], priors))
    plain, other = subject.answer(subject.predictions(0)), subject.answer(predictions, scene)
    back = np.argsort(order)
    table = jax.tree.map(lambda x: x[..., back], other.table)
    moved = {name: getattr(other.assignment, name)[:, back] for name in ("object", "weight", "target")}
    return _difference(plain, other._replace(table=table, assignment=other.assignment._replace(**moved)), OTHER_PROGRAM)


def pictures(subject: Subject) -> str:
    """Compare answers for a picture beside two others."""
    beside = (
        (subject.predictions(3), subject.scene),
        (
            jax.tree.map(lambda x, y: x.at[1].set(y[1]), subject.predictions(3), subject.predictions(4)),
            subject.scene._replace(truth=truth_of([draw_objects(0, 7), draw_objects(5, 8)])),
        ),
    )
    one, other = (jax.tree.map(lambda x: x[:1], subject.answer(*inputs)) for inputs in beside)
    return _difference(one, other)


def no_objects(subject: Subject) -> str:
    """Look at a picture without objects, and at one with crowds alone."""
    truth = truth_of([draw_objects(0, 0), draw_objects(4, 5)])
    answer = _with(subject, truth._replace(crowd=truth.mask))
    if (answer.table.object >= 0).any() or (answer.assignment.object >= 0).any():
        return "the table has objects, or the assignment positives"
    if not np.isfinite(answer.table.cost).all():
        return "table.cost is not finite"
    valid = np.asarray(subject.scene.priors.valid, np.float32)
    return difference({"assignment.weight": answer.assignment.weight}, {"assignment.weight": valid})


def crowd(subject: Subject) -> str:
    """Compare answers for pictures with a crowd and without it."""
    truth, row = subject.scene.truth, jnp.arange(N_ROWS)[None] == 1
    without = _with(subject, truth._replace(mask=truth.mask & ~row))
    return _difference(_with(subject, truth._replace(crowd=truth.mask & row)), without)


def by_boxes(subject: Subject) -> str:
    """Compare which entries there are, and which of them are compared, by all kinds of predictions."""
    usual = _by_boxes(subject.networks()[""])
    for where, other in subject.networks().items():
        if seen := difference(usual, _by_boxes(other)):
            return f"{seen}{where}"
    return ""


def static(subject: Subject) -> str:
    """Compare answers by two networks with what the assigner's flag says."""
    one, other = (subject.answer(subject.predictions(seed)) for seed in (0, 1))
    seen = _difference(one, other)
    if subject.assigner.static:
        return f"Assigner.static is True, but by two networks {seen}" if seen else ""
    same = (one.assignment.object >= 0).any() and not difference(one.assignment.object, other.assignment.object)
    return "Assigner.static is False, but two networks give the same answer" if same else ""


def _with(subject: Subject, truth: Any) -> Answer:
    """The answer for other objects in the pictures."""
    return subject.answer(subject.predictions(2), subject.scene._replace(truth=truth))


def _by_boxes(answer: Answer) -> dict[str, Any]:
    return {"table.object": answer.table.object, "table.compared": answer.table.compared}


def _others(table: CostTable, assignment: Assignment) -> Any:
    """The answer for all pictures but the first."""
    return jax.tree.map(lambda x: x[1:], fields(table, assignment))


def _difference(one: Answer, other: Answer, rtol: float = 0.0) -> str:
    return difference(fields(one.table, one.assignment), fields(other.table, other.assignment), rtol)
