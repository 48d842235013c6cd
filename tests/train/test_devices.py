"""The step, detection and checkpoints are the same on any number of devices."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks._hlo import collectives
from lad_jax.distill import METHODS, SwitchOptions, assign_batch
from lad_jax.evaluation.detector import make_detector
from lad_jax.evaluation.postprocess import PostprocessOptions
from lad_jax.losses import LOSSES, LossSetting, make_losses
from lad_jax.mesh import (
    MeshOptions,
    make_mesh,
    on_shards,
    per_shard,
    replicate,
    replicated,
    sharded,
    split_batch,
    sum_shards,
    tile,
)
from lad_jax.models import Detector
from lad_jax.programs import shapes_of
from lad_jax.run import checkpoint, saving
from lad_jax.run.meta import Meta
from tests import networks
from tests.networks import make_batch, padded, train_step, varied
from tests.test_laws import VARIANTS

OPTIONS = dataclasses.replace(networks.OPTIONS, anchor_scale=4.0)
"""Larger anchors: more than one of them is positive for an object here."""
MODEL = Detector(OPTIONS, 3)
BATCH = padded(make_batch(), 4)
"""Four pictures and four rows that only fill the batch: shards differ in what they hold."""
SWITCH = SwitchOptions(scope="batch")
"""A decision that needs the costs of all shards."""
ROWS = {"plain": METHODS["plain"], "all": VARIANTS["all"]}
"""The plainest method, and one of a trained and a frozen network, a switch and both kinds of losses."""
ACCUMULATE = {("plain", 2): 2}
"""In how many parts a step takes its batch, where that is not 1."""


variables = functools.partial(varied, MODEL)


@functools.cache
def make_step(method, n_devices, gradients_in="float32"):
    return train_step(
        ROWS[method],
        MODEL,
        mesh=make_mesh(MeshOptions(n_devices), {}),
        switch=SWITCH,
        accumulate=ACCUMULATE.get((method, n_devices), 1),
        gradients_in=gradients_in,
    )


def start(step):
    """A state, and the frozen networks."""
    return networks.start(step, {n: variables(i) for i, n in enumerate(step.method.networks)})


def arguments(step):
    return *replicate(start(step), step.mesh), split_batch(BATCH, step.mesh)


@functools.cache
def program(method, n_devices, gradients_in="float32"):
    step = make_step(method, n_devices, gradients_in)
    return jax.jit(step.step, out_shardings=(replicated(step.mesh), None)).lower(*arguments(step)).compile()


@functools.cache
def stepped(method, n_devices, gradients_in="float32"):
    """State and output of a first step."""
    return program(method, n_devices, gradients_in)(*arguments(make_step(method, n_devices, gradients_in)))


def assert_same_step(ours, expected, before):
    """Sums in another order: up to 1e-5 of the losses, and 1e-3 of each weight's largest change, since a step's first
    gradients pass through norms that magnify rounding. A shard left out or counted twice would make 1e-1."""
    (state, output), (expected_state, expected_output) = ours, expected

    def assert_same_change(x, y, start):
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-3 * np.abs(np.asarray(y) - start).max() + 1e-9)

    jax.tree.map(assert_same_change, state.variables, expected_state.variables, jax.device_get(before.variables))
    assert set(output.scalars) == set(expected_output.scalars)
    for name, value in expected_output.scalars.items():
        rtol = 1e-4 if name == "gradient_norm" else 1e-5
        np.testing.assert_allclose(output.scalars[name], value, rtol=rtol, atol=1e-7, err_msg=name)
    assert output.position.tolist() == expected_output.position.tolist()


@pytest.mark.parametrize(
    ("method", "n_devices"), [*(pytest.param("plain", n, marks=pytest.mark.slow) for n in (2, 8)), ("all", 4)]
)
def test_the_number_of_devices_does_not_matter(method, n_devices):
    """Nor how many parts the batch is taken in: losses, figures and update are those of one device."""
    expected, (before, _) = stepped(method, 1), start(make_step(method, 1))
    assert expected[1].scalars["positives_per_object"] > 1
    assert_same_step(stepped(method, n_devices), expected, before)


def test_what_travels_between_devices():
    """In a step sums alone, of gradients and of fewer numbers than a picture has priors. In the assignment and
    in each picture's sums of losses nothing: loops end on each device by themselves."""
    step = make_step("all", 4)
    scene = step.scene(BATCH, jnp.zeros(()))
    predictions = jax.eval_shape(MODEL.apply, variables(0), BATCH.pictures.images, BATCH.pictures.image_hw)
    shapes = shapes_of((dict.fromkeys(ROWS["all"].networks, predictions), scene), sharded(step.mesh))
    assign = functools.partial(
        assign_batch,
        method=step.method,
        assigner=step.assigner,
        switch=SwitchOptions(),
        per_shard=functools.partial(per_shard, mesh=step.mesh),
    )
    assert collectives(jax.jit(assign).lower(*shapes).compile().as_text()) == {}
    assigned = shapes_of(jax.eval_shape(assign, *shapes), sharded(step.mesh))
    every_loss = dataclasses.replace(step, losses={"student": make_losses(LOSSES, LossSetting())})
    sums = jax.jit(functools.partial(every_loss.sums, "student")).lower(shapes[0], assigned, shapes[1])
    assert collectives(sums.compile().as_text()) == {}
    found = collectives(program("all", 4).as_text())
    n_params = sum(x.size for x in jax.tree.leaves(variables(0)["params"]))
    assert set(found) == {"all-reduce"}
    assert found["all-reduce"]["bytes"] < 4 * (n_params + scene.priors.valid.shape[1])


def test_gradients_are_summed_in_float32_or_bfloat16():
    """Each shard's gradient is rounded to the dtype that travels: by up to 2⁻⁹ of its size in bfloat16."""
    shards = np.random.default_rng(0).normal(size=(4, 1000)).astype(np.float32)
    mesh = make_mesh(MeshOptions(4), {})
    error = {
        dtype: np.abs(jax.jit(lambda x, dtype=dtype: sum_shards(x, mesh, dtype))(shards) - shards.sum(axis=0))
        for dtype in ("float32", "bfloat16")
    }
    size = np.abs(shards).sum(axis=0)
    assert (error["float32"] <= 1e-6 * size).all()
    assert (error["bfloat16"] <= 2**-7 * size).all() and (error["bfloat16"] > 1e-4 * size).mean() > 0.5
    alone = sum_shards(shards[:1], make_mesh(MeshOptions(1), {}), "bfloat16")
    np.testing.assert_array_equal(alone, shards[0], err_msg="one device sends nothing")


def test_a_step_sums_its_gradients_as_its_option_says():
    """In bfloat16 most weights move by a little more or less than in float32."""
    (rounded, output), (exact, expected) = stepped("plain", 8, "bfloat16"), stepped("plain", 8)
    assert output.scalars["loss"] == expected.scalars["loss"]
    before, _ = start(make_step("plain", 8))

    def difference(x, y, start):
        return np.ravel(np.abs(x - y) / (np.abs(y - start).max() + 1e-9))

    states = (jax.device_get(state.variables["student"]["params"]) for state in (rounded, exact, before))
    differences = np.concatenate(jax.tree.leaves(jax.tree.map(difference, *states)))
    assert differences.max() < 0.1
    assert np.mean(differences > 1e-5) > 0.5


def test_a_gradient_is_of_its_shard_until_it_is_summed():
    mesh = make_mesh(MeshOptions(4), {})
    rows = np.arange(8.0, dtype=np.float32)

    def loss(tiled):
        return on_shards(lambda weight, x: weight * x, mesh)(tiled, rows).sum()

    gradients = jax.jit(jax.grad(loss))(tile(np.float32(2), mesh))
    np.testing.assert_array_equal(gradients, rows.reshape(4, 2).sum(axis=1))
    assert sum_shards(gradients, mesh, "float32") == rows.sum()


WRITTEN_READ = [*(pytest.param(*pair, marks=pytest.mark.slow) for pair in ((8, 1), (1, 2))), (2, 8)]


@pytest.mark.parametrize(("written", "read"), WRITTEN_READ)
def test_a_run_goes_on_on_other_devices(written, read, tmp_path):
    """The same bits after reading, and from there on the same step."""
    step = make_step("plain", read)
    saved, meta = stepped("plain", written)[0], Meta({}, (), (), "", {})
    with saving.make_manager(tmp_path) as manager:
        saving.save(manager, saved, meta)
        saving.finish(manager)
    restored = checkpoint.restore(tmp_path / "checkpoints" / "1", replicate(start(step)[0], step.mesh))
    jax.tree.map(np.testing.assert_array_equal, restored, saved)
    assert all(x.sharding == replicated(step.mesh) for x in jax.tree.leaves(restored))
    ours = program("plain", read)(restored, {}, split_batch(BATCH, step.mesh))
    expected = program("plain", written)(saved, {}, split_batch(BATCH, make_step("plain", written).mesh))
    assert_same_step(ours, expected, saved)


def test_detections_are_those_of_one_device():
    network, found = variables(0), {}
    for n_devices in (1, 4):
        mesh = make_mesh(MeshOptions(n_devices), {})
        detector = make_detector(MODEL, PostprocessOptions(max_detections=10), mesh)
        found[n_devices] = detector(replicate(network, mesh), split_batch(BATCH, mesh).pictures)
    ours, expected = found[4], found[1]
    assert expected.valid.any()
    np.testing.assert_array_equal(ours.valid, expected.valid)
    np.testing.assert_array_equal(ours.classes, expected.classes)
    np.testing.assert_allclose(ours.scores, expected.scores, rtol=1e-5)
    np.testing.assert_allclose(ours.boxes, expected.boxes, rtol=1e-5, atol=1e-3)
