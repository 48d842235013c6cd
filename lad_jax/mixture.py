"""A mixture of two Gaussians in one dimension, fitted by expectation maximisation.

The semantics are those of scikit-learn's `GaussianMixture` as PAA uses it (spec 5.2): component 0 starts at the
smallest value, component 1 at the largest, both with variance 1 and weight 1/2; iteration stops when the mean
log-likelihood moves by less than `TOLERANCE`, and the parameters of that last iteration are kept.

The *contrast form* (spec 5.4) carries the differences between the two components (of means, variances and log
weights) beside their values. With nearly equal values, the normal case early in training, the labels hang on
differences of 1e-7, which float32 loses when the components are computed apart and then subtracted.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

TOLERANCE = 1e-3
MAX_ITERATIONS = 100
VARIANCE_FLOOR = 1e-6
"""Added to every variance (scikit-learn's `reg_covar`)."""
COUNT_FLOOR = 10 * 2.220446e-16
"""Added to the weight of a component."""


class Mixture(NamedTuple):
    """The fit, and what it says about each value."""

    foreground: Bool[Array, " N"]
    """True where component 0 (the one started at the minimum) is at least as likely; False where masked."""
    log_density: Float[Array, " N"]
    """Log of the mixture's density at each value; -inf where masked."""
    means: Float[Array, "2"]
    variances: Float[Array, "2"]
    weights: Float[Array, "2"]
    mean_contrast: Float[Array, ""]
    """means[1] - means[0], exact where the two are nearly equal."""
    iterations: Int[Array, ""]


class _Parameters(NamedTuple):
    """Components 0 and 1 and, apart, their contrasts. Means are relative to the mean of the values."""

    mean: Float[Array, "2"]
    variance: Float[Array, "2"]
    log_weight: Float[Array, "2"]
    mean_contrast: Float[Array, ""]
    """mean₁ - mean₀"""
    variance_contrast: Float[Array, ""]
    """variance₁ - variance₀"""
    weight_contrast: Float[Array, ""]
    """ln(weight₀ / weight₁)"""


@jax.named_scope("mixture")
def fit(values: Float[Array, " N"], mask: Bool[Array, " N"]) -> Mixture:
    """Fit the mixture to the kept values.

    Args:
      values: finite where `mask` is True; any order.
      mask: which values count; any number, also none.

    Returns:
      The mixture. With fewer than two kept values it means nothing, but is finite.

    Source: spec 5.2 and 5.4.
    """
    count = jnp.maximum(jnp.sum(mask), 1).astype(values.dtype)
    lowest = jnp.min(jnp.where(mask, values, jnp.inf))
    lowest = jnp.where(jnp.isfinite(lowest), lowest, 0.0)
    # Two subtractions: the first is exact for near-equal values, the second centres what is left.
    y = jnp.where(mask, values - lowest, 0.0)
    offset = jnp.sum(y) / count
    y = jnp.where(mask, y - offset, 0.0)

    def expectation(p: _Parameters) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
        return _log_odds(y, p), _log_density(y, p)

    def iterate(state):
        parameters, previous, _, iterations = state
        log_odds, log_density = expectation(parameters)
        likelihood = jnp.sum(jnp.where(mask, log_density, 0.0)) / count
        parameters = _maximisation(y, mask, count, log_odds)
        return parameters, likelihood, jnp.abs(likelihood - previous) < TOLERANCE, iterations + 1

    def unfinished(state):
        _, _, converged, iterations = state
        return ~converged & (iterations < MAX_ITERATIONS)

    start = (_start(y), jnp.array(-jnp.inf, y.dtype), jnp.array(False), jnp.array(0))
    parameters, _, _, iterations = jax.lax.while_loop(unfinished, iterate, start)
    log_odds, log_density = expectation(parameters)
    return Mixture(
        foreground=mask & (log_odds >= 0),
        log_density=jnp.where(mask, log_density, -jnp.inf),
        means=parameters.mean + lowest + offset,
        variances=parameters.variance,
        weights=jnp.exp(parameters.log_weight),
        mean_contrast=parameters.mean_contrast,
        iterations=iterations,
    )


def _start(y: Float[Array, " N"]) -> _Parameters:
    # Masked entries of y are 0, its mean, so they are neither minimum nor maximum.
    low, high = jnp.min(y), jnp.max(y)
    zero = jnp.zeros_like(low)
    return _Parameters(
        mean=jnp.stack([low, high]),
        variance=jnp.ones(2, y.dtype),
        log_weight=jnp.log(jnp.full(2, 0.5, y.dtype)),
        mean_contrast=high - low,
        variance_contrast=zero,
        weight_contrast=zero,
    )


def _log_odds(y: Float[Array, " N"], p: _Parameters) -> Float[Array, " N"]:
    """ln of the odds that component 0, not 1, made each value."""
    (m0, m1), (v0, v1) = p.mean, p.variance
    near = jnp.abs(p.variance_contrast) < v0 / 2
    contrast = p.mean_contrast * (2 * y - m0 - m1) / v0 + (y - m1) ** 2 * p.variance_contrast / (v0 * v1)
    distance = jnp.where(near, contrast, (y - m0) ** 2 / v0 - (y - m1) ** 2 / v1)
    ratio = jnp.where(near, jnp.log1p(jnp.where(near, p.variance_contrast / v0, 0.0)), jnp.log(v1 / v0))
    return p.weight_contrast + (ratio - distance) / 2


def _log_density(y: Float[Array, " N"], p: _Parameters) -> Float[Array, " N"]:
    log_odds = _log_odds(y, p)
    squared = (y[:, None] - p.mean) ** 2 / p.variance
    component = p.log_weight - (jnp.log(2 * jnp.pi) + squared + jnp.log(p.variance)) / 2
    likelier = jnp.where(log_odds > 0, component[:, 0], component[:, 1])
    return likelier + jnp.log1p(jnp.exp(-jnp.abs(log_odds)))


def _maximisation(
    y: Float[Array, " N"], mask: Bool[Array, " N"], count: Float[Array, ""], log_odds: Float[Array, " N"]
) -> _Parameters:
    keep = mask.astype(y.dtype)
    share = jax.nn.sigmoid(jnp.stack([log_odds, -log_odds], axis=1)) * keep[:, None]
    total = jnp.sum(share, axis=0) + COUNT_FLOOR
    n0, n1 = total
    mean = share.T @ y / total
    variance = jnp.sum(share * (y[:, None] - mean) ** 2, axis=0) / total + VARIANCE_FLOOR

    # The contrasts, from t = (share₀ - share₁) / 2, which is small and exact where the shares are both near 1/2.
    t = jnp.tanh(log_odds / 2) / 2 * keep
    t_sum, t_y, t_yy = jnp.sum(t), jnp.sum(t * y), jnp.sum(t * y * y)
    y_sum, yy_sum = jnp.sum(y), jnp.sum(y * y)
    mean_contrast = (y_sum * t_sum - count * t_y) / (n0 * n1)
    variance_contrast = (yy_sum * t_sum - count * t_yy) / (n0 * n1) - mean_contrast * (mean[0] + mean[1])
    difference = variance[1] - variance[0]
    return _Parameters(
        mean=mean,
        variance=variance,
        log_weight=jnp.log(total / (n0 + n1)),
        mean_contrast=mean_contrast,
        variance_contrast=jnp.where(jnp.abs(difference) > variance[0] / 2, difference, variance_contrast),
        weight_contrast=jnp.where(jnp.abs(t_sum) <= 0.1 * count, jnp.log1p(2 * t_sum / n1), jnp.log(n0 / n1)),
    )
