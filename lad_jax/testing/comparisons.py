"""Laws that compare answers: functions that return what they saw against a law, or nothing."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lad_jax.testing.conditions import first
from lad_jax.testing.drawn import N_ROWS, SPREAD, draw_objects, truth_of
from lad_jax.testing.subject import OTHER_PROGRAM, Answer, Subject, difference, fields


def finite(subject: Subject) -> str:
    """Look at costs of usual predictions, and of those of a picture that are all NaN or infinite."""
    usual = subject.answer(subject.predictions(0))
    for value in (None, np.nan, np.inf, -np.inf):
        spoiled = jax.tree.map(lambda x, value=value: x.at[0].set(value), subject.predictions(0)) if value else None
        answer = subject.answer(spoiled) if spoiled else usual
        where = f", where predictions of picture 0 are {value}" if value else ""
        wrong = ~np.isfinite(answer.table.cost) | ((answer.table.cost < 0) & (answer.table.object >= 0))
        if wrong.any():
            return f"table.cost{first(wrong)} is {answer.table.cost[wrong][0]}{where}"
        if not all(np.isfinite(x).all() for x in (answer.assignment.weight, answer.assignment.target)):
            return f"a weight or target that is not finite{where}"
        if value is np.nan and not subject.assigner.static and not answer.broken[0]:
            return f"costs below masked.WORST alone{where}"
        if seen := difference(_picture(1, answer), _picture(1, usual)):
            return f"picture 1 changed{where}: {seen}"
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
    one, other = (_picture(0, subject.answer(*inputs)) for inputs in beside)
    return difference(one, other)


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
    """Compare which entries there are, and which of them are compared, by two networks."""
    one, other = (subject.answer(subject.predictions(seed)).table for seed in (0, 1))
    names = ("object", "compared")
    a, b = ({f"table.{name}": getattr(table, name) for name in names} for table in (one, other))
    return difference(a, b)


def static(subject: Subject) -> str:
    """Compare answers by two networks with what the assigner's flag says."""
    one, other = (subject.answer(subject.predictions(seed)) for seed in (0, 1))
    seen = _difference(one, other)
    if subject.assigner.static:
        return f"Assigner.static is True, but by two networks {seen}" if seen else ""
    same = not difference(one.assignment.object, other.assignment.object)
    return "Assigner.static is False, but two networks give the same answer" if same else ""


def _with(subject: Subject, truth: Any) -> Answer:
    """The answer for other objects in the pictures."""
    return subject.answer(subject.predictions(2), subject.scene._replace(truth=truth))


def _picture(i: int, answer: Answer) -> Any:
    return jax.tree.map(lambda x: x[i], fields(answer.table, answer.assignment))


def _difference(one: Answer, other: Answer, rtol: float = 0.0) -> str:
    return difference(fields(one.table, one.assignment), fields(other.table, other.assignment), rtol)
