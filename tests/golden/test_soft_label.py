"""Soft-label distillation against the reference implementation: terms, their sum and its gradient.

Everything is computed from the reference's own network outputs. Terms: 1e-4 of their size (sums of some ten thousand
float32 numbers). Gradients: 1e-3 of the largest entry.
"""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.losses import SoftOptions
from tests.golden import network
from tests.golden.network import assert_close
from tests.reference.example import STRIDES, loss_terms, predictions_of, priors_of, scene_of

PLAIN = SoftOptions(class_weight=1.0, quality_weight=1.0, box_weight=1.0, priors="all")


@pytest.fixture(scope="module")
def case(golden):
    arrays = network.load(golden / "soft_label.npz")
    batch = network.batch_of(arrays)
    priors = priors_of(batch.canvas, batch.pictures.image_hw)

    def predictions(raw):
        return predictions_of(*raw, priors.boxes)

    student, teacher = (
        tuple(jnp.asarray(arrays[f"{n}_{k}"]) for k in ("cls_logits", "box_deltas", "iou_logits"))
        for n in ("student", "teacher")
    )

    @partial(jax.jit, static_argnames="options")
    def terms(raw, options):
        scene = scene_of(priors, batch.truth, batch.pictures.image_hw)
        return loss_terms(["soft"], predictions(raw), None, scene, teacher=predictions(teacher), soft=options)

    return arrays, batch, priors, student, teacher, terms


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_kl(case, gamma):
    arrays, _, _, student, _, terms = case
    found = terms(student, replace(PLAIN, gamma=gamma))
    np.testing.assert_allclose(found["soft_class"], arrays[f"kl_cls_gamma{gamma}"], rtol=1e-4)
    np.testing.assert_allclose(found["soft_quality"], arrays[f"kl_iou_gamma{gamma}"], rtol=1e-4)
    np.testing.assert_allclose(found["soft_box"], arrays["giou_box"], rtol=1e-4)


@pytest.mark.parametrize("divergence", ["l1", "l2"])
def test_other_divergences(case, divergence):
    arrays, _, _, student, _, terms = case
    found = terms(student, replace(PLAIN, divergence=divergence))
    np.testing.assert_allclose(found["soft_class"], arrays[f"{divergence}_cls"], rtol=1e-4)


def test_solad(case):
    """The released weights, and the gradient where it was written down: at the finest level."""
    arrays, batch, _, student, _, terms = case
    options = SoftOptions(priors="all")

    @jax.jit
    @jax.value_and_grad
    def loss(raw):
        return sum(terms(raw, options).values())

    total, gradients = loss(student)
    np.testing.assert_allclose(total, arrays["solad_soft_loss"], rtol=1e-4)
    rows, columns = (side // STRIDES[0] for side in batch.canvas)
    for name, gradient in zip(("cls", "box", "iou"), gradients, strict=True):
        level = gradient[:, : rows * columns].reshape(arrays[f"solad_grad_level0_{name}"].shape)
        assert_close(level, arrays[f"solad_grad_level0_{name}"], name, tolerance=1e-3)
