"""Class probabilities by way of objectness: worked numbers of spec 1.8 and 12.1, a literal twin, and the extremes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.models import objectness
from tests.reference import objectness as twin


def conditional(logits, coefficients, region=None):
    log_p, log_not_p = objectness.conditional(jnp.asarray(logits), jnp.asarray(coefficients), region)
    np.testing.assert_allclose(np.exp(log_p) + np.exp(log_not_p), 1, rtol=1e-5)
    return np.exp(np.asarray(log_p))


def random_maps(seed, hw=(5, 7), n_classes=3):
    rng = np.random.default_rng(seed)
    return tuple(rng.normal(0, 2, (2, *hw, c)).astype(np.float32) for c in (n_classes, 9, 1, 1))


def test_conditional_worked():
    z = (0.1 * np.arange(40, dtype=np.float32) - 2).reshape(2, 4, 5).transpose(1, 2, 0)
    g = np.sin(np.arange(180, dtype=np.float32)).reshape(9, 4, 5).transpose(1, 2, 0)
    p = conditional(z[None], g[None])[0]
    np.testing.assert_allclose(p[0, :, 0], [0.2002388, 0.1571321, 0.1386347, 0.1239614, 0.1632679], rtol=1e-5)
    np.testing.assert_allclose(p[2, :, 1], [0.3065021, 0.3712912, 0.4074058, 0.4189869, 0.3568340], rtol=1e-5)
    np.testing.assert_allclose(p.sum(), 9.911012, rtol=1e-5)


def test_conditional_equals_the_twin():
    logits, coefficients, *_ = random_maps(0)
    for ours, z, g in zip(conditional(logits, coefficients), logits, coefficients, strict=True):
        np.testing.assert_allclose(ours, twin.conditional(z, g), rtol=1e-5)


def test_the_border_is_that_of_the_pictures_own_region():
    logits, coefficients, *_ = random_maps(1)
    region = np.array([[5, 7], [3, 4]])
    p = conditional(logits, coefficients, jnp.asarray(region))
    for ours, z, g, (h, w) in zip(p, logits, coefficients, region, strict=True):
        np.testing.assert_allclose(ours[:h, :w], twin.conditional(z[:h, :w], g[:h, :w]), rtol=1e-5)


def test_implicit_equals_the_twin():
    logits, _, present, bias = random_maps(2)
    log_p, log_not_p = objectness.implicit(*map(jnp.asarray, (logits, present, bias)))
    expected = twin.implicit(logits, present, bias)
    assert (expected == 0).any() and (expected > 0).any()
    np.testing.assert_allclose(np.where(expected > 0, np.exp(log_p), 0), expected, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(np.exp(log_not_p), 1 - expected, rtol=1e-5)
    np.testing.assert_array_equal(np.asarray(log_p)[expected == 0], objectness.FLOOR)


@pytest.mark.parametrize("extreme", [-200.0, 200.0])
def test_extremes_are_finite_with_finite_gradients(extreme):
    """Where p is exactly 0 or 1 the logarithm is the floor."""

    def total(z):
        pairs = [
            objectness.conditional(z, jnp.full((1, 3, 3, 9), 200.0), None),
            objectness.implicit(z, jnp.full((1, 3, 3, 1), 200.0), jnp.full((1, 3, 3, 1), -200.0)),
        ]
        return sum(jnp.sum(x) for pair in pairs for x in pair), pairs

    (_, pairs), slope = jax.value_and_grad(total, has_aux=True)(jnp.full((1, 3, 3, 1), extreme))
    assert np.isfinite(slope).all() and all(np.isfinite(x).all() for pair in pairs for x in pair)
    centre = [float(x[0, 1, 1, 0]) for pair in pairs for x in pair]
    np.testing.assert_allclose(centre, [0, -100, 0, -100] if extreme > 0 else [-100, 0, -100, 0], atol=1e-5)
