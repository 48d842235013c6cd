"""Soft-label distillation: worked numbers of spec 12.1 and 12.3, a literal twin, and nothing to divide by."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.losses import SoftOptions
from lad_jax.losses.soft import BOUNDS, _bounded, focal_kl
from tests.reference import objectness as twin
from tests.reference.example import (
    CANVAS,
    IMAGE_HW,
    NO_OBJECTS,
    OBJECTS,
    loss_terms,
    outputs,
    predictions_of,
    priors_of,
    scene_of,
    truth_of,
)
from tests.reference.paa import decode, sigmoid

PRIORS = priors_of(CANVAS, IMAGE_HW)
S, T = jnp.array([-4.0, -1, 0.5, 2]), jnp.array([0.02, 0.9, 0.6, 0])


def of_logits(z):
    return jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z)


def of_probabilities(p):
    return jnp.maximum(jnp.log(p), -100), jnp.log1p(-p)


@pytest.mark.parametrize(
    ("gamma", "expected"),
    [
        (0.0, [1.1075847e-4, 0.88817877, 1.0653138e-3, 2.1269281]),
        (0.5, [5.2518790e-6, 0.70556253, 1.5973164e-4, 1.9961394]),
        (2.0, [5.5992261e-10, 0.35370472, 5.3843240e-7, 1.6500802]),
    ],
)
def test_focal_kl_worked(gamma, expected):
    # Where t and p are nearly equal the worked numbers, float32, carry the rounding of a difference.
    found = focal_kl(of_logits(S), of_probabilities(T), gamma)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_focal_kl_slope_worked():
    slope = jax.grad(lambda s: focal_kl(of_logits(s), of_probabilities(T), 0.5).sum())(S)
    np.testing.assert_allclose(slope, [-1.1396408e-4, -0.61122000, 4.2015426e-3, 0.94560790], rtol=1e-5, atol=1e-7)


def test_bounded_worked():
    found = focal_kl(_bounded(of_logits(S)), _bounded(of_probabilities(T)), 0.5)
    np.testing.assert_allclose(found, [5.2567366e-6, 0.70556241, 1.5973164e-4, 1.9948798], rtol=1e-5, atol=1e-7)
    assert BOUNDS == (1e-4, 0.9999)


def raw(phase):
    return tuple(map(jnp.asarray, outputs(phase)))


@partial(jax.jit, static_argnames=("options", "bounded"))
def terms(student, teacher, truth, *, options, bounded=False):
    student, teacher = (predictions_of(*r, PRIORS.boxes) for r in (student, teacher))
    scene = scene_of(PRIORS, truth)
    return loss_terms(["soft"], student, None, scene, teacher=teacher, soft=options, bounded=bounded)


@pytest.mark.parametrize(
    ("min_iou", "expected"),
    [(0.5, [0.32981905, 0.02438386, 0.06217282]), (0.1, [0.10774980, 0.04118570, 0.07474861])],
)
def test_worked(min_iou, expected):
    """Spec 12.3, "KD": the classes of all priors, those in the padding too."""
    options = SoftOptions(min_iou=min_iou, priors="all")
    found = terms(raw(0.0), raw(0.8), truth_of(OBJECTS), options=options)
    np.testing.assert_allclose([found[f"soft_{k}"] for k in ("class", "quality", "box")], expected, rtol=1e-5)


def numpy_pictures(objects):
    networks = [
        [
            (sigmoid(z), decode(np.asarray(PRIORS.boxes[i], np.float64), d), sigmoid(u))
            for i, (z, d, u) in enumerate(zip(*r, strict=True))
        ]
        for r in ([x.astype(np.float64) for x in outputs(phase)] for phase in (0.0, 0.8))
    ]
    return [
        (*pair, np.asarray(PRIORS.valid[i]), IMAGE_HW[i], np.reshape(objects[i][0], (-1, 4)).astype(np.float64))
        for i, pair in enumerate(zip(*networks, strict=True))
    ]


@pytest.mark.parametrize("priors", ["valid", "all"])
@pytest.mark.parametrize("objects", [OBJECTS, [NO_OBJECTS, OBJECTS[1]]])
def test_equals_the_twin(priors, objects):
    options = SoftOptions(gamma=1.3, class_weight=3.0, quality_weight=5.0, box_weight=7.0, min_iou=0.2, priors=priors)
    found = terms(raw(0.0), raw(0.8), truth_of(objects), options=options)
    *expected, _ = twin.soft_terms(numpy_pictures(objects), gamma=1.3, min_iou=0.2, everywhere=priors == "all")
    names = [("soft_class", 3.0), ("soft_quality", 5.0), ("soft_box", 7.0)]
    for (name, weight), value in zip(names, expected, strict=True):
        np.testing.assert_allclose(found[name], weight * value, rtol=1e-4, err_msg=name)


def test_a_teacher_without_logits_is_taken_at_its_word():
    """Its probabilities are the targets; the released code squashes them a second time (spec 10.10)."""
    rng = np.random.default_rng(0)
    p = rng.uniform(0.01, 0.6, (*PRIORS.valid.shape, 3)).astype(np.float32)
    student, teacher = (predictions_of(*raw(phase), PRIORS.boxes) for phase in (0.0, 0.8))
    teacher = teacher._replace(class_log_p=jnp.log(p), class_log_not_p=jnp.log1p(-p))
    options = SoftOptions(class_weight=1.0)
    scene = scene_of(PRIORS, truth_of(OBJECTS))
    found = loss_terms(["soft"], student, None, scene, teacher=teacher, soft=options)
    pictures = [
        (ours, (p[i].astype(np.float64), *theirs[1:]), *rest)
        for i, (ours, theirs, *rest) in enumerate(numpy_pictures(OBJECTS))
    ]
    expected, *_ = twin.soft_terms(pictures, gamma=0.5, min_iou=0.5, everywhere=False)
    np.testing.assert_allclose(found["soft_class"], expected, rtol=1e-4)


def test_without_objects_only_classes_are_compared_and_nothing_is_divided_by_zero():
    found = terms(raw(0.0), raw(0.8), truth_of([NO_OBJECTS] * 2), options=SoftOptions(class_weight=1.0))
    *_, total = twin.soft_terms(numpy_pictures([OBJECTS[0], OBJECTS[1]]), gamma=0.5, min_iou=0.5, everywhere=False)
    some = terms(raw(0.0), raw(0.8), truth_of(OBJECTS), options=SoftOptions(class_weight=1.0))
    assert found["soft_box"] == 0 and found["soft_quality"] == 0
    np.testing.assert_allclose(found["soft_class"] * 2, some["soft_class"] * total, rtol=1e-5)


@pytest.mark.parametrize("divergence", ["kl", "l1", "l2"])
@pytest.mark.parametrize("bounded", [False, True])
def test_a_perfect_student_has_nothing_to_learn(divergence, bounded):
    options = SoftOptions(divergence=divergence)

    def loss(student):
        return sum(terms(student, raw(0.0), truth_of(OBJECTS), options=options, bounded=bounded).values())

    value, slopes = jax.value_and_grad(loss)(raw(0.0))
    np.testing.assert_allclose(value, 0, atol=1e-5)
    if divergence != "l1":  # whose slope has no direction there
        assert all(np.abs(slope).max() < 1e-6 for slope in slopes)
    assert jax.value_and_grad(loss)(raw(0.3))[0] > 0.01


def test_no_gradient_reaches_the_teacher():
    slopes = jax.grad(lambda t: sum(terms(raw(0.0), t, truth_of(OBJECTS), options=SoftOptions()).values()))(raw(0.8))
    assert not any(slope.any() for slope in slopes)


@pytest.mark.parametrize("name", ["gamma", "class_weight", "quality_weight", "box_weight", "min_iou"])
def test_options_that_mean_nothing(name):
    with pytest.raises(ValueError, match=name):
        SoftOptions(**{name: -0.5})
