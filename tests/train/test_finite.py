"""Steps that are not finite: what is left of the state, and what is said of them."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.data import SyntheticOptions
from lad_jax.data.synthetic import SyntheticShapes
from lad_jax.distill import METHODS
from lad_jax.errors import InputError
from lad_jax.mesh import MeshOptions, make_mesh, replicate
from lad_jax.models import Detector
from lad_jax.train.debug import debugged, first_not_finite
from lad_jax.train.finite import explain
from lad_jax.train.optimizer import OptimizerOptions, make_optimizer
from lad_jax.train.state import TrainState, init_state, init_variables, updated_if
from tests import networks
from tests.networks import N_CLASSES, ONE_DEVICE, OPTIONS, noise, train_step
from tests.reference.example import truth_of

SOUND, NO_LOSS, NO_GRADIENT = 0, 101, 102
"""Values of a picture's first pixel, by which the network below knows what to do."""
DATASET = SyntheticShapes(SyntheticOptions(train=4, size=96), "train")
IDS = [record.id for record in DATASET.records]


class Fragile(Detector):
    """A detector whose class probabilities are NaN on some pictures, and on others have no gradient."""

    def __call__(self, images, image_hw):
        out = super().__call__(images, image_hw)
        mark = images[:, 0, 0, 0][:, None, None]
        no_gradient, log_p = mark == NO_GRADIENT, out.class_log_p
        # The root of 0 x is 0, and has no derivative; the root of 1 is a constant.
        nothing = jnp.sqrt(jnp.where(no_gradient, 0 * log_p, 1.0)) - jnp.where(no_gradient, 0.0, 1.0)
        return out._replace(class_log_p=jnp.where(mark == NO_LOSS, jnp.nan, log_p + nothing))


MODEL = Fragile(OPTIONS, N_CLASSES)


def batch_of(*marks):
    images = noise(4)
    images[:, 0, 0, 0] = marks
    return networks.batch_of(images, truth_of([([[5.0, 8, 40, 50], [30, 10, 90, 60]], [0, 1])] * 4))


def rate(step):
    """Rises with the step."""
    return 0.01 * (1.0 + step.astype(jnp.float32))


OPTIMIZER = make_optimizer(OptimizerOptions(kind="adamw"), rate, {"student": OPTIONS})


@pytest.fixture(scope="module")
def step():
    training = train_step(
        METHODS["plain"],
        MODEL,
        optimizer=OPTIMIZER,
        schedule=rate,
        ema_decay=0.5,
        accumulate=2,  # in the harder case: flags of parts become those of the batch
    )
    compiled = jax.jit(training.step)
    # The state laid out as the step leaves it, whatever a test made of it: one program.
    return lambda state, frozen, batch: compiled(replicate(state, ONE_DEVICE), frozen, batch)


@pytest.fixture(scope="module")
def start(step):
    """The state after a sound step: neither the optimiser's nor the moving average's is that of the beginning."""
    state, output = step(
        init_state({"student": init_variables(MODEL, 0)}, OPTIMIZER, seed=0, ema=True), {}, batch_of(0, 0, 0, 0)
    )
    assert output.applied and jax.tree.all(jax.tree.map(np.all, output.finite))
    return state


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


EVERYWHERE = ("student/backbone", "student/bbox_head", "student/neck")


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ((SOUND, NO_LOSS, SOUND, SOUND), f"student/loss_class not finite; image ids [{IDS[1]}]"),
        ((SOUND, SOUND, NO_LOSS, NO_GRADIENT), f"student/loss_class not finite; image ids [{IDS[2]}]"),
        (
            (SOUND, NO_GRADIENT, SOUND, SOUND),
            f"{', '.join(f'gradient of {part}' for part in EVERYWHERE)} not finite; image ids {IDS}",
        ),
    ],
    ids=["loss", "loss and gradient", "gradient"],
)
def test_a_step_that_is_not_finite_moves_nothing_but_the_step(marks, said, step, start):
    after, output = step(start, {}, batch_of(*marks))
    assert not output.applied and after.step == start.step + 1
    assert_same(after._replace(step=start.step), start)
    assert explain(jax.device_get(output.finite), IDS) == said
    np.testing.assert_array_equal(output.broken, np.array(marks) == NO_LOSS)


def test_the_step_after_follows_the_runs_schedule(step, start):
    """Its rate at step 3 is 4/3 of that at step 2: so are AdamW's updates, and with them the moving average's."""
    batch = batch_of(0, 0, 0, 0)
    moved, _ = step(start._replace(step=jnp.asarray(2, jnp.int32)), {}, batch)
    skipped, _ = step(start._replace(step=jnp.asarray(2, jnp.int32)), {}, batch_of(NO_LOSS, 0, 0, 0))
    later, output = step(skipped, {}, batch)
    assert output.scalars["learning_rate"] == pytest.approx(0.04)

    def assert_ratio(new, reference, old):
        np.testing.assert_allclose(new - old, 4 / 3 * (reference - old), rtol=1e-3, atol=1e-6)

    jax.tree.map(assert_ratio, later.variables, moved.variables, start.variables)
    # How many gradients the averages hold is the same: only a step that was applied counts.
    counts = [s.optimizer.inner_states["student"].inner_state[1].count for s in (moved, later)]
    assert counts[0] == counts[1] == 2


def test_the_poisoned_layer_is_named():
    """Not those after it, nor a layer of the other network."""
    sound = init_variables(MODEL, 0)
    poisoned = jax.tree.map(np.array, sound)
    poisoned["params"]["backbone"]["layer2_0"]["conv2"]["kernel"][0, 0, 0, 0] = np.inf
    networks = {"student": sound, "teacher": poisoned}
    layer = first_not_finite(dict.fromkeys(networks, MODEL), networks, batch_of(0, 0, 0, 0))
    assert layer == "teacher/backbone/layer2_0/conv2"


def test_debug_ends_the_run_with_names(step, start):
    run = debugged(step, {"student": MODEL}, DATASET, make_mesh(MeshOptions(data=1), {}))
    state, output = run(start, {}, batch_of(0, 0, 0, 0))
    assert output.applied and state.step == 2
    parts = re.escape(f"student/loss_class not finite; image ids [{IDS[2]}]")
    with pytest.raises(InputError, match=rf"^step 3: {parts}.*\. It comes from student\.$"):
        run(state, {}, batch_of(0, 0, NO_LOSS, 0))
    with pytest.raises(
        InputError, match=r"gradient of student/neck .*\. Every layer's output is finite: it comes after them\.$"
    ):
        run(state, {}, batch_of(0, 0, NO_GRADIENT, 0))


@pytest.mark.parametrize("platform", ["cpu", "gpu", "tpu"])
@pytest.mark.parametrize("applied", [True, False])
def test_an_update_that_is_not_applied_leaves_no_trace(platform, applied):
    """On any platform, and though the update has made nothing but NaN."""
    old = TrainState(jnp.int32(3), {"student": {"params": jnp.ones(4)}}, (), {}, jnp.zeros(2, jnp.uint32))
    new = old._replace(variables={"student": {"params": jnp.full(4, jnp.nan)}})
    found = jax.jit(lambda old, applied: updated_if(applied, lambda: new, old, platform))(old, jnp.asarray(applied))
    jax.tree.map(np.testing.assert_array_equal, found, new if applied else old)
