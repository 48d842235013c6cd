"""Laws of one answer: functions that return what they saw against a law, or nothing."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from lad_jax.errors import reason_of
from lad_jax.testing.subject import OTHER_PROGRAM, Answer, Subject, difference, fields


def of_all_answers(fault: Callable[[Subject, Answer], str]) -> Callable[[Subject], str]:
    """A law of each answer: for all kinds of predictions, and throughout a training."""

    @functools.wraps(fault)
    def seen(subject: Subject) -> str:
        found = ((fault(subject, answer), where) for where, answer in subject.answers().items())
        return next((f"{words}{where}" for words, where in found if words), "")

    return seen


def jit(subject: Subject) -> str:
    """Compare the answer for a picture alone, not compiled, with the compiled one for a batch."""
    try:
        compiled = subject.answer(subject.predictions(0))
        if explain := subject.assigner.explain:
            jax.eval_shape(explain, subject.table, subject.picture[0])
    except jax.errors.JAXTypeError as error:
        return f"compiling it raised {reason_of(error)}"
    one = jax.tree.map(lambda x: x[0], compiled)
    table, assignment = jax.device_get((subject.table, subject.assignment))
    return difference(fields(table, assignment), fields(one.table, one.assignment), OTHER_PROGRAM)


@of_all_answers
def entries(subject: Subject, answer: Answer) -> str:
    """Look for entries of the table that no valid prior and real object have, and for compared ones without object."""
    table, scene = answer.table, subject.scene
    n_rows = scene.truth.labels.shape[1]
    valid, objects = np.asarray(scene.priors.valid), np.asarray(scene.truth.objects)
    if table.object.ndim == 3:
        in_row = (table.object == -1) | (table.object == np.arange(n_rows)[:, None])
        if not in_row.all():
            return f"table.object{first(~in_row)} is {table.object[~in_row][0]}: neither its row nor -1"
        valid = valid[:, None]
    has_object = table.object >= 0
    if not has_object.any():
        return "no entry of the table has an object"
    if (has_object & ~valid).any():
        return f"table.object{first(has_object & ~valid)} is an object, but the prior is not valid"
    if (beyond := table.object >= n_rows).any():
        return f"table.object{first(beyond)} is {table.object[beyond][0]}, but there are {n_rows} rows"
    real = np.stack([of[np.maximum(table.object[i], 0)] for i, of in enumerate(objects)])
    if (has_object & ~real).any():
        return f"table.object{first(has_object & ~real)} is no object but padding or a crowd"
    alone = table.compared & ~has_object
    return f"table.compared{first(alone)} is True, but table.object is -1" if alone.any() else ""


@of_all_answers
def positives(subject: Subject, answer: Answer) -> str:
    """Look for positives that are no entries of the table."""
    table, assignment = answer.table, answer.assignment
    if (assignment.object < 0).all():
        return "no prior is positive in pictures with nine objects"
    pairs = table.object if table.object.ndim == 3 else table.object[:, None]
    strange = (assignment.object >= 0) & ~(pairs == assignment.object[:, None]).any(axis=1)
    return f"assignment.object{first(strange)} is not in the table for this prior" if strange.any() else ""


@of_all_answers
def weights(subject: Subject, answer: Answer) -> str:
    """Look for weights that are negative or not finite, 0 for a positive, or above 0 for a prior that is not valid."""
    assignment, valid = answer.assignment, np.asarray(subject.scene.priors.valid)
    faults = {
        "is not finite, or below 0": ~(np.isfinite(assignment.weight) & (assignment.weight >= 0)),
        "is above 0, but the prior is not valid": (assignment.weight > 0) & ~valid,
        "is 0, but the prior is positive": (assignment.weight == 0) & (assignment.object >= 0),
    }
    return _first_fault("assignment.weight", faults)


@of_all_answers
def targets(subject: Subject, answer: Answer) -> str:
    """Look for targets outside 0 to 1, soft ones that the assigner does not announce, and announced ones missing."""
    assignment, soft = answer.assignment, subject.assigner.soft_target
    target, positive = assignment.target, assignment.object >= 0
    faults = {
        "is not 0, but the prior is not positive": ~positive & (target != 0),
        "is not in 0 to 1": positive & ~((target >= 0) & (target <= 1)),
        "is below 1, but Assigner.soft_target is False": positive & (target < 1) & (not soft),
        "is 1 as all others, but Assigner.soft_target is True": positive & soft & (target[positive] == 1).all(),
    }
    return _first_fault("assignment.target", faults)


def no_gradient(subject: Subject) -> str:
    """Look at the gradient that comes back to the predictions, in a loss as that of a training step."""
    gradient = subject.answer(subject.predictions(0)).gradient
    names = [name for name, value in gradient._asdict().items() if np.any(value)]
    return f"the gradient by predictions.{names[0]} is not 0" if names else ""


def first(mask: Any) -> list[int]:
    """The index of the first entry that is set."""
    return np.argwhere(mask)[0].tolist()


def _first_fault(name: str, faults: dict[str, Any]) -> str:
    found = [f"{name}{first(mask)} {fault}" for fault, mask in faults.items() if np.any(mask)]
    return found[0] if found else ""
