"""Losses by TAL's soft targets against the reference implementation, picture by picture, given its assignment.

With the published weights. Losses: 5e-5. Gradients: 1e-3 of their size and 1e-7.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.golden import pictures
from tests.reference.example import assignment_of, loss_terms, predictions_of

PUBLISHED = {"class_loss": "quality_focal", "box_weighting": "target", "box_weight": 2.0, "quality_weight": 0.0}


@jax.jit
@partial(jax.grad, argnums=(0, 1), has_aux=True)
def gradients(logits, deltas, assignment, scene):
    predictions = predictions_of(logits, deltas, jnp.zeros(logits.shape[:-1]), scene.priors.boxes)
    terms = loss_terms(["detection"], predictions, assignment, scene, **PUBLISHED)
    return sum(terms.values()), terms


@pytest.fixture(scope="module")
def file(golden):
    return pictures.read(golden / "assign_tal.npz")


@pytest.mark.parametrize("i", range(12))
def test_losses_and_gradients(i, file):
    arrays, place = file.arrays[i], file.places[i]
    scene, predictions = jax.tree.map(lambda x: x[i : i + 1], (file.scene, file.predictions))
    owner = np.full(scene.priors.valid.shape, -1)
    owner[0, place] = np.maximum(arrays["assigned"], -1)
    target = np.zeros(owner.shape, np.float32)
    target[0, place] = np.where(arrays["assigned"] >= 0, arrays["target"], 0)
    assignment = assignment_of(owner, scene.priors.valid)._replace(target=jnp.asarray(target))

    logits = (predictions.class_log_p - predictions.class_log_not_p).at[0, place].set(arrays["cls_logits"])
    found, terms = gradients(logits, predictions.box_deltas, assignment, scene)
    for name in ("class", "box"):
        np.testing.assert_allclose(terms[name], arrays[f"loss_{name}"], rtol=5e-5, err_msg=name)
    assert terms["quality"] == 0
    for ours, name in zip(found, ("grad_logits", "grad_deltas"), strict=True):
        np.testing.assert_allclose(np.asarray(ours)[0, place], arrays[name], rtol=1e-3, atol=1e-7, err_msg=name)
