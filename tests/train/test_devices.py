"""The step, detection and checkpoints are the same on any number of devices, split over `data` and `spatial`."""

import dataclasses
import functools
import re

import jax
import numpy as np
import pytest

from lad_jax.assign import AssignerOptions, make_assigner
from lad_jax.distill import METHODS, SwitchOptions
from lad_jax.errors import InputError
from lad_jax.evaluation.detector import make_detector
from lad_jax.evaluation.postprocess import PostprocessOptions
from lad_jax.mesh import MeshOptions, check_rows, make_mesh, replicate, replicated, split_batch
from lad_jax.models import Detector
from lad_jax.run import checkpoint, saving
from lad_jax.run.meta import Meta
from lad_jax.train.optimizer import OptimizerOptions, make_optimizer
from lad_jax.train.state import init_state
from lad_jax.train.step import make_train_step
from tests.test_laws import OPTIONS as LAWS
from tests.test_laws import RATE, VARIANTS, make_batch, padded, varied

OPTIONS = dataclasses.replace(LAWS, anchor_scale=4.0)
"""Larger anchors: more than one of them is positive for an object here."""
MODEL = Detector(OPTIONS, 3)
BATCH = padded(make_batch(), 4)
"""Four pictures and four rows that only fill the batch: parts differ in what they hold. On a canvas of 64 rows the
coarsest map has 2, so over 4 and 8 devices some maps are split and others are not."""
SWITCH = SwitchOptions(scope="batch")
"""A decision that needs the costs of all parts."""
ROWS = {"paa": METHODS["paa"], "all": VARIANTS["all"]}
"""The plainest method, and one of a trained and a frozen network, a switch and both kinds of losses."""
ACCUMULATE = {("paa", (2, 2)): 2}
"""In how many parts a step takes its batch, where that is not 1."""


variables = functools.partial(varied, MODEL)


@functools.cache
def make_step(method, shape, dtype="float32", gradients_in="float32"):
    """The jitted step, its optimiser and its mesh of `shape` (data, spatial)."""
    mesh, row = make_mesh(MeshOptions(*shape), {}), ROWS[method]
    options = dataclasses.replace(OPTIONS, dtype=dtype)
    optimizer = make_optimizer(OptimizerOptions(), lambda _: RATE, dict.fromkeys(row.trained, options))
    step = make_train_step(
        dict.fromkeys(row.networks, Detector(options, MODEL.n_classes)),
        method=row,
        assigner=make_assigner(AssignerOptions(), OPTIONS.n_levels),
        optimizer=optimizer,
        schedule=lambda _: RATE,
        switch=SWITCH,
        accumulate=ACCUMULATE.get((method, shape), 1),
        mesh=mesh,
        gradients_in=gradients_in,
    )
    return jax.jit(step, out_shardings=(replicated(mesh), None)), optimizer, mesh


def start(method, optimizer):
    """A state, and the frozen networks."""
    row = ROWS[method]
    networks = {n: variables(i) for i, n in enumerate(row.networks)}
    state = init_state({n: networks[n] for n in row.trained}, optimizer, ema=False)
    return state, {n: networks[n] for n in row.frozen}


def lowered(method, shape, **changes):
    step, optimizer, mesh = make_step(method, shape, **changes)
    return step.lower(*replicate(start(method, optimizer), mesh), split_batch(BATCH, mesh))


@functools.cache
def program(method, shape):
    return lowered(method, shape).compile()


@functools.cache
def stepped(method, shape):
    """State and output of a first step."""
    _, optimizer, mesh = make_step(method, shape)
    return program(method, shape)(*replicate(start(method, optimizer), mesh), split_batch(BATCH, mesh))


def assert_same_step(ours, expected, before):
    """Sums in another order: 1e-7 of the losses, and up to 1e-4 of each weight's largest change, since a step's first
    gradients pass through norms that magnify rounding. A part left out or counted twice would make 1e-1."""
    (state, output), (expected_state, expected_output) = ours, expected

    def assert_same_change(x, y, start):
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-3 * np.abs(np.asarray(y) - start).max() + 1e-9)

    jax.tree.map(assert_same_change, state.variables, expected_state.variables, jax.device_get(before.variables))
    assert set(output.scalars) == set(expected_output.scalars)
    for name, value in expected_output.scalars.items():
        rtol = 1e-4 if name == "gradient_norm" else 1e-5
        np.testing.assert_allclose(output.scalars[name], value, rtol=rtol, atol=1e-7, err_msg=name)
    assert output.position.tolist() == expected_output.position.tolist()


@pytest.mark.parametrize(("method", "shape"), [("paa", (8, 1)), ("paa", (2, 2)), ("paa", (1, 8)), ("all", (4, 2))])
def test_the_number_of_devices_does_not_matter(method, shape):
    """Nor how they are split, or the batch into parts: losses, figures and update are those of one device."""
    expected, (before, _) = stepped(method, (1, 1)), start(method, make_step(method, (1, 1))[1])
    assert expected[1].scalars["positives_per_object"] > 1
    assert_same_step(stepped(method, shape), expected, before)


def groups_of(line):
    """The numbers of the devices that a collective of a program's text joins."""
    if pairs := re.search(r"(?:source_target_pairs|replica_groups)=\{(\{.*?\})\}", line):
        return [[int(n) for n in group.split(",")] for group in re.findall(r"\{([\d,]+)\}", pairs[1])]
    # [4,2]<=[2,4]T(1,0): the numbers in the shape [2,4], transposed, read in rows of [4,2].
    groups, sides, axes = re.search(r"replica_groups=\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?", line).groups()
    groups, sides = ([int(n) for n in numbers.split(",")] for numbers in (groups, sides))
    numbers = np.arange(np.prod(sides)).reshape(sides)
    return numbers.transpose([int(n) for n in axes.split(",")] if axes else None).reshape(groups).tolist()


def test_what_travels_between_devices():
    """Over `data` sums alone; over `spatial` also halos, and what the head says. Pictures stay where they are."""
    hlo = program("all", (4, 2)).as_text()
    found = re.findall(r" = (\(?[a-z].*?) (all-gather|all-to-all|collective-permute)(?:-start)?\((.*)", hlo)
    assert found
    per_part, head = len(BATCH.valid) // 4, {1, 3, 4}
    for types, kind, rest in found:
        groups = groups_of(rest)
        assert all(len({number // 2 for number in group}) == 1 for group in groups), f"{kind} {types} {groups}"
        for dtype, shape in re.findall(r"(\w+)\[([\d,]*)\]", types):
            sides = [int(side) for side in shape.split(",") if side]
            if kind == "collective-permute":  # halos: one row, and up to three of the stem
                assert sides[0] == per_part and sides[1] <= 3, f"{kind} {types}"
            elif len(sides) == 4:
                assert (dtype, kind) == ("f32", "all-gather") and sides[0] == per_part and sides[3] in head, types


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_gradients_are_summed_in(dtype):
    """As the option says, also where the network computes in bfloat16. (CPUs then sum in float32 all the same.)"""
    text = lowered("paa", (4, 2), dtype="bfloat16", gradients_in=dtype).as_text()
    groups = re.findall(
        r'"stablehlo.all_reduce".*?replica_groups = dense<(\[\[.*?\]\])>.*?-> tensor<(.*?)>', text, re.S
    )
    over_data = [kind for group, kind in groups if group.count("[") == 3]
    assert len(over_data) >= len(jax.tree.leaves(variables(0)["params"]))
    assert {kind.split("x")[-1] for kind in over_data} == {{"float32": "f32", "bfloat16": "bf16"}[dtype]}
    assert {kind.split("x")[-1] for group, kind in groups if group.count("[") != 3} == {"f32"}


@pytest.mark.parametrize(("written", "read"), [((8, 1), (1, 1)), ((1, 1), (2, 2)), ((2, 2), (8, 1))])
def test_a_run_goes_on_on_other_devices(written, read, tmp_path):
    """The same bits after reading, and from there on the same step."""
    _, optimizer, mesh = make_step("paa", read)
    saved, meta = stepped("paa", written)[0], Meta({}, (), (), "", {})
    with saving.make_manager(tmp_path) as manager:
        saving.save(manager, saved, meta)
        saving.finish(manager)
    restored = checkpoint.restore(tmp_path / "checkpoints" / "1", replicate(start("paa", optimizer)[0], mesh))
    jax.tree.map(np.testing.assert_array_equal, restored, saved)
    assert all(x.sharding == replicated(mesh) for x in jax.tree.leaves(restored))
    ours = program("paa", read)(restored, {}, split_batch(BATCH, mesh))
    expected = program("paa", written)(saved, {}, split_batch(BATCH, make_step("paa", written)[2]))
    assert_same_step(ours, expected, saved)


def test_detections_are_those_of_one_device():
    """Also where a picture's coarsest map has fewer rows than devices."""
    network, found = variables(0), {}
    for shape in [(1, 1), (2, 4)]:
        mesh = make_mesh(MeshOptions(*shape), {})
        options = PostprocessOptions(max_detections=10)
        detector = make_detector(MODEL, options, mesh)
        found[shape] = detector(replicate(network, mesh), split_batch(BATCH, mesh).pictures)
    ours, expected = found[2, 4], found[1, 1]
    assert expected.valid.any()
    np.testing.assert_array_equal(ours.valid, expected.valid)
    np.testing.assert_array_equal(ours.classes, expected.classes)
    np.testing.assert_allclose(ours.scores, expected.scores, rtol=1e-5)
    np.testing.assert_allclose(ours.boxes, expected.boxes, rtol=1e-5, atol=1e-3)


def test_rows_that_do_not_divide():
    mesh = make_mesh(MeshOptions(data=1, spatial=5), {})
    check_rows([(160, 96)], mesh)
    with pytest.raises(
        InputError, match=r"into 5, but there is a canvas of 64x96 .*pad_multiple to 160, .*divisor of 64"
    ):
        check_rows([(160, 96), (64, 96)], mesh)
