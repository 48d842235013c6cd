"""Laws of the train step (design 4), on a tiny network."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.distill import METHODS, Method, SwitchOptions
from lad_jax.losses import SoftOptions
from lad_jax.mesh import MeshOptions, make_mesh, replicate, split_batch
from tests.networks import MODEL, make_batch, padded, start, train_step, varied

RATE = 0.01
VARIANTS = {
    "plain": METHODS["plain"],
    "lad_weighted": dataclasses.replace(METHODS["lad"], box_weighting="quality"),
    "colad_weighted": dataclasses.replace(METHODS["colad"], box_weighting="quality"),
    "solad_weighted": dataclasses.replace(METHODS["solad"], box_weighting="quality"),
    # No method of the paper, but all that one can have: a switch, a frozen teacher, both kinds of losses.
    "all": Method(("student",), ("student", "teacher"), ("detection", "soft"), "quality"),
}


SOFT = SoftOptions()


@functools.cache
def step_of(variant, **changes):
    return train_step(VARIANTS[variant], **changes)


@functools.cache
def compiled(variant, **changes):
    return jax.jit(step_of(variant, **changes).step)


variables = functools.partial(varied, MODEL)


def run(variant, student, teacher, batch, *, mesh=None, **changes):
    """New variables and output of one step; the teacher is trained or frozen as the method says."""
    state, frozen = start(step_of(variant, **changes), {"student": student, "teacher": teacher})
    if mesh:
        changes |= {"mesh": mesh}
        state, frozen, batch = replicate(state, mesh), replicate(frozen, mesh), split_batch(batch, mesh)
    state, output = compiled(variant, **changes)(state, frozen, batch)
    return state.variables, output


def assert_same(a, b, rtol=1e-5, atol=1e-7):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=atol), a, b)


@pytest.fixture(scope="module")
def paa():
    return run("plain", variables(0), None, make_batch())


@pytest.mark.parametrize("variant", ["lad_weighted", "colad_weighted"])
def test_a_teacher_equal_to_the_student_gives_paa(variant, paa):
    """With PAA's box weighting also its losses, and so its weights after the step."""
    new, output = run(variant, variables(0), variables(0), make_batch())
    assert_same(new["student"], paa[0]["student"])
    for name, value in paa[1].scalars.items():
        if name.startswith(("student/", "positives", "objects")):
            np.testing.assert_allclose(output.scalars[name], value, rtol=1e-5, err_msg=name)
    if variant == "colad_weighted":
        assert_same(new["teacher"], new["student"])


def test_the_step_changes_the_weights(paa):
    """So the equalities of this file say something."""
    before, after = (jax.tree.leaves(network["params"]) for network in (variables(0), paa[0]["student"]))
    assert all((x != y).any() for x, y in zip(before, after, strict=True))
    assert paa[1].scalars["positives_per_object"] > 1


def test_a_frozen_teacher_stays_bit_identical_and_is_not_in_the_state():
    teacher = variables(1)
    before = jax.tree.map(np.array, teacher)
    new, output = run("lad_weighted", variables(0), teacher, make_batch())
    jax.tree.map(np.testing.assert_array_equal, before, teacher)
    assert set(new) == {"student"} and output.scalars["teaches/teacher"] == 1
    other = run("lad_weighted", variables(0), variables(2), make_batch())[0]
    assert any((x != y).any() for x, y in zip(jax.tree.leaves(other), jax.tree.leaves(new), strict=True))


def test_solad_without_its_soft_term_is_lad():
    networks, batch = (variables(0), variables(1)), make_batch()
    silent = SoftOptions(class_weight=0.0, quality_weight=0.0, box_weight=0.0)
    lad, ours = run("lad_weighted", *networks, batch), run("solad_weighted", *networks, batch, soft=silent)
    assert_same(ours[0], lad[0])
    assert float(ours[1].scalars["loss"]) == pytest.approx(float(lad[1].scalars["loss"]), rel=1e-6)
    _, output = run("solad_weighted", *networks, batch)
    parts = [v for name, v in output.scalars.items() if "loss_soft" in name]
    assert len(parts) == 3 and all(part > 0 for part in parts)
    np.testing.assert_allclose(output.scalars["loss"], lad[1].scalars["loss"] + sum(parts), rtol=1e-5)


def test_moving_average():
    """After a step: 0.9 times the weights before, and 0.1 times those after."""
    step = step_of("plain", ema_decay=0.9)
    before = {"student": variables(0)}
    state, _ = jax.jit(step.step)(*start(step, before), make_batch())
    expected = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, before["student"], state.variables["student"])
    assert_same(state.ema["student"], expected["params"], rtol=1e-6)


def test_padding_the_batch_and_the_objects_changes_nothing(paa):
    new, output = run("plain", variables(0), None, padded(make_batch(), 4))
    assert_same(new, paa[0], rtol=1e-4, atol=1e-6)
    for term in ("class", "box", "quality"):
        key = f"student/loss_{term}"
        np.testing.assert_allclose(output.scalars[key], paa[1].scalars[key], rtol=1e-5, err_msg=key)


@pytest.mark.parametrize(
    ("variant", "changes", "n_devices"),
    [
        pytest.param("plain", {}, 1, marks=pytest.mark.slow),
        ("all", {"switch": SwitchOptions(scope="batch"), "normaliser_pictures": 2}, 2),
    ],
)
def test_a_batch_in_parts_is_the_batch(variant, changes, n_devices):
    """Also where parts differ in positives, a picture could not be read, and the switch looks at the whole batch."""
    batch, mesh = make_batch(), make_mesh(MeshOptions(data=n_devices), {"config.train.batch_size": 4})
    batch = batch._replace(valid=jnp.arange(4) != 2)
    networks = (variables(0), variables(1), batch)
    whole, output = run(variant, *networks, mesh=mesh, **changes)
    new, in_parts = run(variant, *networks, mesh=mesh, accumulate=2, **changes)

    def assert_same_update(ours, expected, start):
        """To 3 % of the largest change: a ReLU whose input is 0 but for rounding makes 2 %, the parts' own sums 10."""
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=0.03 * np.abs(expected - start).max())

    jax.tree.map(assert_same_update, new["student"], whole["student"], variables(0))
    assert set(in_parts.scalars) == set(output.scalars)
    for name, value in output.scalars.items():
        rtol = 1e-3 if name == "gradient_norm" else 1e-5  # that ReLU is in the norm too
        np.testing.assert_allclose(in_parts.scalars[name], value, rtol=rtol, atol=1e-6, err_msg=name)
