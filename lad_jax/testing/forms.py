"""Laws of what the functions of an assigner return: functions that return what they saw against a law, or nothing."""

from collections.abc import Iterable
from typing import Any

import jax

from lad_jax.assign.base import Explanation
from lad_jax.errors import reason_of
from lad_jax.testing.subject import Subject
from lad_jax.types import Assignment, CostTable, Scene

Form = tuple[str, list[int] | None]
"""dtype and shape of an array; of anything else the name of its type, and no shape."""


def shapes(subject: Subject) -> str:
    """Compare types, names, shapes and dtypes of what the functions return for one picture with those that they must
    have; the table comes first, since the other functions are called with it."""
    (scene, _), table, explain = subject.picture, subject.table, subject.assigner.explain
    if seen := _table_fault(table, scene):
        return seen
    if seen := _assignment_fault(subject.assignment, scene):
        return seen
    return _explanation_fault(explain(table, scene), table, scene) if explain else ""


def quality(subject: Subject) -> str:
    """Call `cost` as for a network that predicts no IoU, unless the assigner says that it needs one."""
    if subject.assigner.needs_quality:
        return ""
    where = ", where predictions.quality_logit is None"
    scene, predictions = subject.picture
    try:
        table = subject.assigner.cost(scene, predictions._replace(quality_logit=None))
    except Exception as error:  # the user's function may raise anything
        return f"`cost` raised {reason_of(error)}{where}"
    seen = _table_fault(table, scene)
    return f"{seen}{where}" if seen else ""


def _table_fault(table: Any, scene: Scene) -> str:
    if seen := _type_fault("cost", table, CostTable):
        return seen
    if not isinstance(table.besides, dict):
        return f"table.besides is {_words(_form(table.besides))} in place of a dict, which may be empty"
    n_rows, n_priors = _sizes(scene)
    dtype, pair = _form(table.object)
    if pair not in ([n_priors], [n_rows, n_priors]):
        return (
            f"table.object is {_words((dtype, pair))} in place of int32{[n_priors]} or int32{[n_rows, n_priors]}: "
            f"A is {n_priors} and G is {n_rows}"
        )
    besides = [(f"table.besides[{name!r}]", value, ("float32", pair)) for name, value in table.besides.items()]
    return _first_fault(
        [
            ("table.cost", table.cost, ("float32", pair)),
            ("table.object", table.object, ("int32", pair)),
            ("table.compared", table.compared, ("bool", pair)),
            *besides,
        ]
    )


def _assignment_fault(assignment: Any, scene: Scene) -> str:
    if seen := _type_fault("partition", assignment, Assignment):
        return seen
    of_priors = [_sizes(scene)[1]]
    return _first_fault(
        [
            ("assignment.object", assignment.object, ("int32", of_priors)),
            ("assignment.weight", assignment.weight, ("float32", of_priors)),
            ("assignment.target", assignment.target, ("float32", of_priors)),
            ("assignment.iterations", assignment.iterations, ("int32", [])),
        ]
    )


def _explanation_fault(explanation: Any, table: CostTable, scene: Scene) -> str:
    """Figures of objects begin with their axis, and those of entries have the table's shape; dtypes are free."""
    if seen := _type_fault("explain", explanation, Explanation):
        return seen
    n_rows, pair = _sizes(scene)[0], list(table.object.shape)
    for group in explanation._fields:
        if not isinstance(figures := getattr(explanation, group), dict):
            return f"explanation.{group} is {_words(_form(figures))} in place of a dict, which may be empty"
    for name, value in explanation.objects.items():
        _, shape = form = _form(value)
        if shape is None or shape[:1] != [n_rows]:
            return f"explanation.objects[{name!r}] is {_words(form)} in place of [{n_rows}, …]: G is {n_rows}"
    for name, value in explanation.entries.items():
        _, shape = form = _form(value)
        if shape != pair:
            return f"explanation.entries[{name!r}] is {_words(form)} in place of {pair}, the shape of table.cost"
    return ""


def _type_fault(function: str, value: Any, kind: type) -> str:
    if isinstance(value, kind):
        return ""
    return f"`{function}` returned {_words(_form(value))} in place of lad_jax's {kind.__name__}"


def _first_fault(fields: Iterable[tuple[str, Any, Form]]) -> str:
    """The first field that has not the form that it must have."""
    for name, value, form in fields:
        if (seen := _form(value)) != form:
            return f"{name} is {_words(seen)} in place of {_words(form)}"
    return ""


def _sizes(scene: Scene) -> tuple[int, int]:
    """G and A."""
    return len(scene.truth.labels), len(scene.priors.valid)


def _form(value: Any) -> Form:
    """The form of a value as a compiled program sees it."""
    try:
        seen = jax.eval_shape(lambda: value)
    except (TypeError, ValueError):  # JAX knows no such type
        seen = value
    return (
        (str(seen.dtype), list(seen.shape)) if isinstance(seen, jax.ShapeDtypeStruct) else (type(value).__name__, None)
    )


def _words(form: Form) -> str:
    name, shape = form
    return f"an object of type {name}" if shape is None else f"{name}{shape}"
