"""Every law is broken by an assigner that breaks nothing else."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax import boxes, masked
from lad_jax.assign import Assigner, AssignerOptions, make_assigner
from lad_jax.assign.base import Explanation
from lad_jax.errors import InputError
from lad_jax.testing import LAWS, BrokenLaw, Subject, check_assigner
from tests import documented


@pytest.fixture(scope="module")
def nearest(tmp_path_factory: pytest.TempPathFactory):
    """The module of docs/assigners.md."""
    return documented.load(tmp_path_factory.mktemp("nearest"))


@pytest.fixture(scope="module")
def sound(nearest) -> Assigner:
    return nearest.make_nearest(nearest.NearestOptions())


def broken_by(assigner: Assigner) -> set[str]:
    subject = Subject(assigner)
    return {name for name, law in LAWS.items() if law.seen(subject)}


def test_the_documented_assigner_obeys(nearest):
    check_assigner(nearest.make_nearest)


def costs(change: Callable) -> Callable[[Assigner], Assigner]:
    """An assigner whose table is changed; `change(table, scene, predictions)`."""

    def mutate(assigner):
        return assigner._replace(cost=lambda scene, p: change(assigner.cost(scene, p), scene, p))

    return mutate


def offset(amount: Callable) -> Callable[[Assigner], Assigner]:
    """An assigner that adds `amount(table, scene, predictions)` to its costs."""
    return costs(lambda table, scene, p: table._replace(cost=table.cost + amount(table, scene, p)))


def answers(change: Callable) -> Callable[[Assigner], Assigner]:
    """An assigner whose assignment is changed; `change(assignment, scene)`."""

    def mutate(assigner):
        return assigner._replace(partition=lambda table, scene: change(assigner.partition(table, scene), scene))

    return mutate


def chooses_beyond_the_table(assigner):
    def partition(table, scene):
        real = scene.truth.objects[:, None] & scene.priors.valid[None]
        return assigner.partition(table._replace(object=jnp.where(real, jnp.arange(len(real))[:, None], -1)), scene)

    return assigner._replace(partition=partition)


def no_positives(assignment, scene):
    return assignment._replace(object=-jnp.ones_like(assignment.object), target=0 * assignment.target)


def answers_by_table(change: Callable) -> Callable[[Assigner], Assigner]:
    """An assigner whose assignment is changed; `change(assignment, table)`."""

    def mutate(assigner):
        return assigner._replace(partition=lambda table, scene: change(assigner.partition(table, scene), table))

    return mutate


def nearly_right(table, scene, predictions):
    overlap = boxes.pairwise_iou(scene.truth.boxes, predictions.boxes)
    cost = 0.9 - overlap - 0.5 * predictions.class_log_p[:, scene.truth.labels].T
    return table._replace(cost=masked.finite(cost))


def only_confident(table, scene, predictions):
    kept = ~(predictions.class_log_p[:, 0] > -3)[None]
    return table._replace(object=jnp.where(kept, table.object, -1), compared=table.compared & kept)


def by_number(table, scene, predictions):
    return 0.1 * (jnp.arange(float(table.cost.shape[1])) % 5)[None]


def lacking_in_the_batch(table, scene, predictions):
    """How many objects fewer than the fullest picture of the batch."""

    def lacking(n):
        return (n.max() - n).astype(np.float32)

    n = jnp.sum(scene.truth.objects)
    return jax.pure_callback(lacking, jax.ShapeDtypeStruct((), jnp.float32), n, vmap_method="broadcast_all")


def explaining(explain: Callable) -> Callable[[Assigner], Assigner]:
    """An assigner with such reasons; `explain(table, scene)`."""
    return lambda assigner: assigner._replace(explain=explain)


def by_quality(table, scene, predictions):
    return jax.nn.softplus(-predictions.quality_logit)[None]


def one_figure(table, scene):
    return Explanation({}, {"best": jnp.min(table.cost, axis=0)})


def reasons_by_value(table, scene):
    return Explanation({}, {"cost": table.cost if table.cost.sum() > 0 else -table.cost})


MUTANTS = {
    "a list of iterations": ("shapes", answers(lambda a, s: a._replace(iterations=a.iterations[None]))),
    "a figure for each prior": ("shapes", explaining(one_figure)),
    "nothing besides": ("shapes", costs(lambda t, s, p: t._replace(besides=None))),
    "other costs where traced": ("jit", offset(lambda t, s, p: float(isinstance(t.cost, jax.core.Tracer)))),
    "`if` on a value": ("jit", offset(lambda t, s, p: 1.0 if t.cost.sum() < 0 else 0.0)),
    "all is compared": ("entries", costs(lambda t, s, p: t._replace(compared=jnp.ones_like(t.compared)))),
    "positives beyond the table": ("positives", chooses_beyond_the_table),
    "no positives": ("positives", answers(no_positives)),
    "positives that weigh nothing": ("weights", answers(lambda a, s: a._replace(weight=a.weight * (1 - a.target)))),
    "soft targets without a word": ("targets", answers(lambda a, s: a._replace(target=a.target / 2))),
    "announced targets that are hard": ("targets", lambda assigner: assigner._replace(soft_target=True)),
    "weights below 0 at last": (
        "weights",
        answers(lambda a, s: a._replace(weight=jnp.where(s.progress > 0.95, -1, a.weight))),
    ),
    "targets that NaN makes large": (
        "targets",
        answers_by_table(
            lambda a, t: a._replace(
                target=a.target * jnp.where(((t.object >= 0) & (t.cost == masked.WORST)).any(), 1e6, 1)
            )
        ),
    ),
    "costs below 0": ("finite", offset(lambda t, s, p: -5.0)),
    "costs below 0 for what is almost right": ("finite", costs(nearly_right)),
    "a logarithm of the progress": ("finite", offset(lambda t, s, p: 9 + jnp.log(s.progress))),
    "costs for NaN as any other": (
        "finite",
        costs(lambda t, s, p: t._replace(cost=jnp.where(t.cost == masked.WORST, 9.0, t.cost))),
    ),
    "costs that are NaN": (
        "finite",
        costs(lambda t, s, p: t._replace(cost=jnp.where(t.cost == masked.WORST, jnp.nan, t.cost))),
    ),
    "all priors": ("invalid_priors", offset(lambda t, s, p: jnp.isnan(p.class_log_p).any().astype(jnp.float32))),
    "all rows": ("padding", offset(lambda t, s, p: float(len(t.cost)))),
    "objects by number": ("permuted_objects", offset(lambda t, s, p: 0.3 * jnp.arange(float(len(t.cost)))[:, None])),
    "priors by number": ("permuted_priors", offset(by_number)),
    "the whole batch": ("pictures", offset(lacking_in_the_batch)),
    "nothing weighs without objects": (
        "no_objects",
        answers(lambda a, s: a._replace(weight=a.weight * s.truth.objects.any().astype(jnp.float32))),
    ),
    "crowds are counted": ("crowd", offset(lambda t, s, p: jnp.sum(s.truth.mask).astype(jnp.float32))),
    "candidates by predictions": ("by_boxes", costs(only_confident)),
    "candidates by what is finite": (
        "by_boxes",
        costs(lambda t, s, p: t._replace(compared=t.compared & (t.cost < masked.WORST))),
    ),
    "predicted IoUs without a word": (
        "quality",
        costs(lambda t, s, p: t._replace(cost=masked.finite(t.cost + by_quality(t, s, p)))),
    ),
    "reasons by `if`": ("jit", explaining(reasons_by_value)),
    "called static": ("static", lambda assigner: assigner._replace(static=True)),
}
"""The law that each breaks, and how a sound assigner is changed."""
ALSO = {
    "nothing besides": {"quality"},  # nor is anything where a network predicts no IoU
    "positives beyond the table": {"permuted_objects"},  # far from its objects costs are equal
}
"""What a mutant cannot but break as well."""


@pytest.mark.parametrize("name", [name for name in MUTANTS if name != "`if` on a value"])
def test_a_law_is_broken_by_itself(name, sound):
    law, mutate = MUTANTS[name]
    assert broken_by(mutate(sound)) == {law} | ALSO.get(name, set())


def test_what_cannot_be_compiled(sound):
    with pytest.raises(BrokenLaw, match=r"law 'jit'.* compiling it raised TracerBoolConversionError"):
        check_assigner(MUTANTS["`if` on a value"][1](sound))


def test_a_gradient_that_is_not_stopped(sound, monkeypatch):
    """Which no assigner brings about: `assign_batch` stops it."""

    def partition(table, scene):
        assignment = sound.partition(table, scene)
        return assignment._replace(target=assignment.target * jnp.exp(-jnp.mean(table.cost)))

    soft = sound._replace(partition=partition, soft_target=True)
    assert not LAWS["no_gradient"].seen(Subject(soft))
    monkeypatch.setattr(jax.lax, "stop_gradient", lambda x: x)
    assert "by predictions.class_log_p is not 0" in LAWS["no_gradient"].seen(Subject(soft))


FAULTS = {
    "no return": (costs(lambda t, s, p: None), "`cost` returned an object of type NoneType in place of .* CostTable"),
    "a tuple": (costs(lambda t, s, p: tuple(t)), "`cost` returned an object of type tuple in place of .* CostTable"),
    "an array": (costs(lambda t, s, p: t.cost), r"`cost` returned float32\[8, 428\] in place of .* CostTable"),
    "no cost": (
        costs(lambda t, s, p: t._replace(cost=None)),
        r"table.cost is an object of type NoneType in .* float32\[8",
    ),
    "[A, G]": (
        costs(lambda t, s, p: jax.tree.map(jnp.transpose, t)),
        r"table.object is int32\[428, 8\] in place of int32\[428\] or int32\[8, 428\]: A is 428 and G is 8",
    ),
    "costs [A, G]": (
        costs(lambda t, s, p: t._replace(cost=t.cost.T)),
        r"table.cost is float32\[428, 8\] in place of float32\[8, 428\]",
    ),
    "sums besides": (
        costs(lambda t, s, p: t._replace(besides={"iou": t.cost.sum(1)})),
        r"table.besides\['iou'\] is float32\[8\] in place of float32\[8, 428\]",
    ),
    "no partition": (answers(lambda a, s: None), "`partition` returned an object of type NoneType in .* Assignment"),
    "no target": (
        answers(lambda a, s: a._replace(target=None)),
        r"assignment.target is an object of type NoneType in place of float32\[428\]",
    ),
    "a list of targets": (
        answers(lambda a, s: a._replace(target=[0.0])),
        "assignment.target is an object of type list",
    ),
    "no reasons": (explaining(lambda t, s: None), "`explain` returned an object of type NoneType in .* Explanation"),
    "a list of reasons": (
        explaining(lambda t, s: Explanation({}, [t.cost])),
        "explanation.entries is an object of type list in place of a dict",
    ),
    "a figure for all objects": (
        explaining(lambda t, s: Explanation({"k": jnp.zeros(())}, {})),
        r"explanation.objects\['k'\] is float32\[\] in place of \[8, …\]: G is 8",
    ),
    "reasons for each prior": (
        explaining(one_figure),
        r"explanation.entries\['best'\] is float32\[428\] in place of \[8, 428\]",
    ),
}
"""What functions may return that is no table, assignment or explanation, and what is said of it."""


@pytest.mark.parametrize("name", FAULTS)
def test_what_has_another_form_is_said_before_anything_is_computed_with_it(name):
    mutate, seen = FAULTS[name]
    with pytest.raises(BrokenLaw, match=f"law 'shapes': .* Seen: {seen}"):
        check_assigner(mutate(make_assigner(AssignerOptions(name="simota"))))


def test_reasons_of_any_dtype_obey(sound):
    """And figures of an object may be several; numbers of Python are arrays without axes."""

    def explain(table, scene):
        return Explanation({"k": jnp.zeros((8, 2), jnp.int32)}, {"there": table.object >= 0})

    counted = answers(lambda a, s: a._replace(iterations=0))(sound)
    check_assigner(counted._replace(explain=explain), laws=["shapes", "jit"])


def test_costs_that_need_predicted_ious_say_so(sound):
    _, mutate = MUTANTS["predicted IoUs without a word"]
    needy = mutate(sound)
    with pytest.raises(
        BrokenLaw, match=r"law 'quality': .*raised TypeError.*quality_logit is None\. Set needs_quality="
    ):
        check_assigner(needy)
    check_assigner(needy._replace(needs_quality=True))


def test_costs_without_predicted_ious_have_the_form_of_others(sound):
    forgetful = costs(lambda t, s, p: None if p.quality_logit is None else t)(sound)
    assert LAWS["quality"].seen(Subject(forgetful)).startswith("`cost` returned an object of type NoneType")


def test_every_law_has_one_that_breaks_it():
    assert {law for law, _ in MUTANTS.values()} | {"no_gradient"} == set(LAWS)


def test_the_message_says_law_sight_and_remedy(sound):
    with pytest.raises(BrokenLaw, match=r"law 'by_boxes': which .* Seen: table.compared\[.* is True and .* Networks"):
        check_assigner(MUTANTS["candidates by predictions"][1](sound))


def test_a_row_that_is_not_there():
    def beyond(table, scene, _):
        free = scene.priors.valid & (table.object < 0)
        return table._replace(object=jnp.where(free, len(scene.truth.labels), table.object))

    with pytest.raises(BrokenLaw, match=r"Seen: .*table.object\[.*\] is (\d+), but there are \1 rows"):
        check_assigner(costs(beyond)(make_assigner(AssignerOptions())), laws=["entries"])


def test_a_function_that_makes_no_assigner():
    with pytest.raises(InputError, match="returned an object of type int, no assigner"):
        check_assigner(lambda: 3)


def by_predicted_overlap(table, scene, predictions):
    near = boxes.pairwise_iou(scene.truth.boxes, predictions.boxes) > 0.3
    return table._replace(object=jnp.where(near, table.object, -1), compared=table.compared & near)


def with_crowds(table, scene, predictions):
    row = jnp.arange(len(scene.truth.mask))[:, None]
    near = boxes.pairwise_iou(scene.truth.boxes, scene.priors.boxes) > 0.1
    there = scene.truth.mask[:, None] & scene.priors.valid[None] & (near | (table.object >= 0))
    return table._replace(object=jnp.where(there, row, -1), compared=there)


@pytest.mark.parametrize(
    ("mutate", "law", "advice"),
    [
        (costs(by_predicted_overlap), "by_boxes", "let predictions enter `cost`"),
        (costs(with_crowds), "crowd", "scene.truth.objects in place of scene.truth.mask"),
        (MUTANTS["costs that are NaN"][1], "finite", "lad_jax.masked.finite,"),
        (MUTANTS["costs for NaN as any other"][1], "finite", "no cost of picture 0 is masked.WORST"),
        (MUTANTS["targets that NaN makes large"][1], "targets", "picture 0 are nan. .*lad_jax.masked.finite_or_0"),
    ],
)
def test_a_natural_mistake_gets_its_advice(mutate, law, advice, sound):
    with pytest.raises(BrokenLaw, match=rf"breaks the law {law!r}: .*{advice}"):
        check_assigner(mutate(sound))


def test_a_law_that_is_not_there(sound):
    with pytest.raises(InputError, match=r"there is no law 'by_box'\. Did you mean 'by_boxes'\? Known laws: shapes, "):
        check_assigner(sound, laws=["by_box"])
