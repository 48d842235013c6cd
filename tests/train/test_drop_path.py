"""What networks draw in training (stochastic depth): who draws, when anew, and when the same."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.assign import AssignerOptions, make_assigner
from lad_jax.distill import Method
from lad_jax.losses import Loss, Sums
from lad_jax.mesh import MeshOptions, make_mesh, replicate, split_batch
from lad_jax.train.state import init_variables
from tests.networks import N_CLASSES, OPTIONS, OneLayer, make_batch, start, train_step

METHOD = Method(("student", "peer_1"), ("student", "teacher"), ("detection",), "uniform")
"""No method of the paper: two networks are trained, and one is frozen."""
ROWS = range(4)
"""Pictures of the batch; the first two lie on the first of two devices, the others on the second."""
MESH = make_mesh(MeshOptions(data=2), {})
ASSIGNER = make_assigner(AssignerOptions(name="max_iou"))
"""The assigner whose program is compiled soonest."""


class Drawing(OneLayer):
    """A network whose predicted quality is what it drew for the picture, between 1 and 2; 0 where it drew nothing."""

    def __call__(self, images, image_hw):
        predictions = super().__call__(images, image_hw)
        drawn = jnp.zeros((len(images), 1))
        if self.has_rng("drop_path"):
            drawn = jax.random.uniform(self.make_rng("drop_path"), drawn.shape, minval=1.0, maxval=2.0)
        return predictions._replace(quality_logit=drawn + jnp.zeros_like(predictions.quality_logit))


def rows_of(predictions, scene):
    """What was drawn for the picture, at its place in the batch: picture i of `make_batch` has i + 1 objects."""
    row = jnp.sum(scene.truth.objects) - 1
    return {i: jnp.where(row == i, predictions.quality_logit[0], 0.0) for i in ROWS}


def sums(predictions, teacher, assignment, scene):
    """Terms that tell what was drawn in the pass with the gradients, measures that tell it of the targets' pass."""
    own, frozen = rows_of(predictions, scene), rows_of(teacher, scene)
    terms = {f"{kind}_{i}": own[i] for kind in ("drawn", "again") for i in ROWS}
    return Sums(
        terms=terms | {f"frozen_{i}": frozen[i] for i in ROWS},
        measures={f"drawn_{i}": own[i] for i in ROWS},
    )


def divisors(measures, n_images):
    """Those of the terms `again`: what was drawn in the targets' pass."""
    ones = {f"{kind}_{i}": jnp.ones(()) for kind in ("drawn", "frozen") for i in ROWS}
    return ones | {f"again_{i}": measures[f"drawn_{i}"] for i in ROWS}


@functools.cache
def compiled(accumulate):
    """The step, and its first arguments."""
    model = Drawing(OPTIONS, N_CLASSES)
    step = train_step(
        METHOD,
        model,
        mesh=MESH,
        assigner=ASSIGNER,
        losses={name: {"draws": Loss(sums, divisors)} for name in METHOD.trained},
        accumulate=accumulate,
    )
    arguments = start(step, dict.fromkeys(METHOD.networks, init_variables(model, 0)))
    return jax.jit(step.step), *replicate(arguments, MESH), split_batch(make_batch(), MESH)


def terms_of(accumulate, number, seed=0):
    """The terms of the loss in a step of a run, as a function of network and kind to the pictures' values."""
    step, state, frozen, batch = compiled(accumulate)
    key = jax.random.key_data(jax.random.key(seed))
    told = replicate((jnp.asarray(number, jnp.int32), key), MESH)
    _, output = step(state._replace(step=told[0], key=told[1]), frozen, batch)
    assert output.applied
    return lambda network, kind: np.array([output.scalars[f"{network}/loss_{kind}_{i}"] for i in ROWS])


def drawn(accumulate, number, seed=0):
    """What each trained network drew for each picture."""
    terms = terms_of(accumulate, number, seed)
    return np.stack([terms(network, "drawn") for network in METHOD.trained])


pytestmark = pytest.mark.parametrize("accumulate", [1, 2])


def test_every_picture_network_step_and_seed_has_its_own_draw(accumulate):
    """So have devices, of which each has two of the pictures, and the parts in which a step takes them."""
    draws = np.stack([drawn(accumulate, *moment) for moment in ((0, 0), (1, 0), (7, 0), (0, 1))])
    assert ((draws >= 1) & (draws < 2)).all(), "trained networks draw"
    assert len(np.unique(draws)) == draws.size == 4 * len(METHOD.trained) * len(ROWS)


def test_the_same_step_draws_the_same(accumulate):
    """As a run that goes on from a checkpoint has to: whatever was drawn in between."""
    first, _, again = (drawn(accumulate, number) for number in (3, 4, 3))
    np.testing.assert_array_equal(first, again)


def test_a_frozen_network_draws_nothing(accumulate):
    terms = terms_of(accumulate, 3)
    for network in METHOD.trained:
        np.testing.assert_array_equal(terms(network, "frozen"), 0.0)


def test_the_loss_is_of_the_draw_that_its_targets_are_from(accumulate):
    """Where the batch is taken in parts, networks predict twice: for the targets, and for the gradients."""
    terms = terms_of(accumulate, 3)
    for network in METHOD.trained:
        np.testing.assert_allclose(terms(network, "again"), 1.0, rtol=1e-6)
