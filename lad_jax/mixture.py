"""A mixture of two Gaussians in one dimension, fitted by expectation maximisation.

The semantics are those of scikit-learn's `GaussianMixture` as PAA uses it (spec 5.2): component 0 starts at the
smallest value, component 1 at the largest, both with variance 1 and weight 1/2; iteration stops when the mean
log-likelihood moves by less than `TOLERANCE`, and the parameters of that last iteration are kept.

The *contrast form* (spec 5.4) carries the differences between the two components (of means, variances and log
weights) beside their values. With nearly equal values, the normal case early in training, the labels hang on
differences of 1e-7, which float32 loses when two components that are computed separately are subtracted.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lad_jax.cell_rows import in_rows

TOLERANCE = 1e-3
MAX_ITERATIONS = 100
VARIANCE_FLOOR = 1e-6
"""Constant that is added to every variance (scikit-learn's `reg_covar`)."""
COUNT_FLOOR = 10 * 2.220446e-16
"""Constant that is added to the weight of a component."""
AT_ONCE = 4
"""Number of iterations between two looks at whether any set has not converged: on a GPU a look waits for the host."""


class Mixture(NamedTuple):
    """A fitted mixture, and its component and density at each value."""

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


class Separation(NamedTuple):
    """Distances of the components of several fits."""

    mean_contrast: Float[Array, " K"]
    variances: Float[Array, "K 2"]


class _Parameters(NamedTuple):
    """Parameters of components 0 and 1, and their contrasts. Means are relative to the mean of the values."""

    mean: Float[Array, "2 *K"]
    variance: Float[Array, "2 *K"]
    log_weight: Float[Array, "2 *K"]
    mean_contrast: Float[Array, "*K"]
    """mean₁ - mean₀"""
    variance_contrast: Float[Array, "*K"]
    """variance₁ - variance₀"""
    weight_contrast: Float[Array, "*K"]
    """ln(weight₀ / weight₁)"""


class _Sets(NamedTuple):
    """Sets of values that a mixture each is fitted to; shapes: V the values', K the sets', none for a single set."""

    mask: Bool[Array, "*V"]
    total: Callable[[Array], Array]
    """Sums of sets, [..., *V] to [..., *K]."""
    least: Callable[[Array], Array]
    """Least values of sets, [*V] to [*K]; 0 where a set is empty."""
    spread: Callable[[Array], Array]
    """Values of sets for their members, [..., *K] to what broadcasts with [..., *V]."""


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
    one = _Sets(
        mask,
        total=partial(jnp.sum, axis=-1),
        least=lambda x: _or_zero(jnp.min(jnp.where(mask, x, jnp.inf))),
        spread=lambda x: x[..., None],
    )
    y, centre = _centred(values, one)
    parameters, iterations = _fit(y, one)
    log_odds, log_density = _expectation(y, parameters, one)
    return Mixture(
        foreground=mask & (log_odds >= 0),
        log_density=jnp.where(mask, log_density, -jnp.inf),
        means=parameters.mean + centre,
        variances=parameters.variance,
        weights=jnp.exp(parameters.log_weight),
        mean_contrast=parameters.mean_contrast,
        iterations=iterations,
    )


def fit_cells(values: Float[Array, " N"], cell: Int[Array, " N"], n_cells: int) -> Separation:
    """Fit a mixture to the values of each cell, as `fit`; the work hardly grows with the number of cells.

    The values are laid out in rows, each of one cell (`cell_rows`): sums are over rows first, then over a cell's rows.

    Args:
      values: finite where they have a cell.
      cell: of each value; `n_cells` for none.
      n_cells: K.
    """
    rows, mask, cell_of_row = in_rows(values, cell, n_cells)
    own = jnp.minimum(cell_of_row, n_cells - 1)
    cells = _Sets(
        mask,
        total=lambda x: _by_last(jax.ops.segment_sum, jnp.sum(x, axis=-1), cell_of_row, n_cells),
        least=lambda x: _or_zero(
            jax.ops.segment_min(jnp.min(jnp.where(mask, x, jnp.inf), axis=-1), cell_of_row, n_cells)
        ),
        spread=lambda x: x[..., own, None],
    )
    y, _ = _centred(rows, cells)
    parameters, _ = _fit(y, cells)
    return Separation(parameters.mean_contrast, parameters.variance.T)


def _by_last(reduce: Callable, x: Array, cell: Int[Array, " R"], n_cells: int) -> Array:
    """Reduce by segments of the last axis."""
    return jnp.moveaxis(reduce(jnp.moveaxis(x, -1, 0), cell, n_cells), 0, -1)


def _centred(values: Float[Array, "*V"], sets: _Sets) -> tuple[Float[Array, "*V"], Float[Array, "*K"]]:
    """Values less the mean of their set, 0 where masked; and the means."""
    lowest = sets.least(values)
    # Two subtractions: the first is exact for near-equal values, the second centres what is left.
    y = jnp.where(sets.mask, values - sets.spread(lowest), 0.0)
    offset = sets.total(y) / _count(y, sets)
    return jnp.where(sets.mask, y - sets.spread(offset), 0.0), lowest + offset


def _count(y: Float[Array, "*V"], sets: _Sets) -> Float[Array, "*K"]:
    """Number of values of each set, at least 1."""
    return jnp.maximum(sets.total(sets.mask.astype(y.dtype)), 1)


def _fit(y: Float[Array, "*V"], sets: _Sets) -> tuple[_Parameters, Int[Array, "*K"]]:
    """Parameters for centred values, and how many iterations they took."""
    count = _count(y, sets)

    def iterate(state):
        parameters, previous, converged, iterations = state
        done = converged | (iterations >= MAX_ITERATIONS)
        log_odds, log_density = _expectation(y, parameters, sets)
        likelihood = sets.total(jnp.where(sets.mask, log_density, 0.0)) / count
        new = _maximisation(y, count, log_odds, sets), likelihood, jnp.abs(likelihood - previous) < TOLERANCE
        kept = jax.tree.map(partial(jnp.where, done), (parameters, previous, converged), new)
        return *kept, iterations + (~done).astype(jnp.int32)

    def several(state):
        # Unrolled: on a GPU a loop has kernels that count its turns and copy its state.
        return jax.lax.fori_loop(0, AT_ONCE, lambda _, now: iterate(now), state, unroll=True)

    def unfinished(state):
        _, _, converged, iterations = state
        return jnp.any(~converged & (iterations < MAX_ITERATIONS))

    zero = jnp.zeros_like(count)
    start = (_start(y, sets), zero - jnp.inf, zero > 0, zero.astype(jnp.int32))
    parameters, _, _, iterations = jax.lax.while_loop(unfinished, several, start)
    return parameters, iterations


def _expectation(y: Float[Array, "*V"], p: _Parameters, sets: _Sets) -> tuple[Float[Array, "*V"], Float[Array, "*V"]]:
    """Log odds of the components, and log of the density, at each value."""
    of_value = _Parameters(*map(sets.spread, p))
    return _log_odds(y, of_value), _log_density(y, of_value)


def _or_zero(x: Float[Array, "*K"]) -> Float[Array, "*K"]:
    return jnp.where(jnp.isfinite(x), x, 0.0)


def _start(y: Float[Array, "*V"], sets: _Sets) -> _Parameters:
    low, high = sets.least(y), -sets.least(-y)
    zero = jnp.zeros_like(low)
    both = jnp.stack([zero, zero])
    return _Parameters(
        mean=jnp.stack([low, high]),
        variance=both + 1.0,
        log_weight=both + jnp.log(0.5),
        mean_contrast=high - low,
        variance_contrast=zero,
        weight_contrast=zero,
    )


def _log_odds(y: Float[Array, "*V"], p: _Parameters) -> Float[Array, "*V"]:
    """ln of the odds that component 0, not 1, made each value; `p` has the parameters of each value's set."""
    (m0, m1), (v0, v1) = p.mean, p.variance
    near = jnp.abs(p.variance_contrast) < v0 / 2
    contrast = p.mean_contrast * (2 * y - m0 - m1) / v0 + (y - m1) ** 2 * p.variance_contrast / (v0 * v1)
    distance = jnp.where(near, contrast, (y - m0) ** 2 / v0 - (y - m1) ** 2 / v1)
    ratio = jnp.where(near, jnp.log1p(jnp.where(near, p.variance_contrast / v0, 0.0)), jnp.log(v1 / v0))
    return p.weight_contrast + (ratio - distance) / 2


def _log_density(y: Float[Array, "*V"], p: _Parameters) -> Float[Array, "*V"]:
    log_odds = _log_odds(y, p)
    squared = (y[None] - p.mean) ** 2 / p.variance
    component = p.log_weight - (jnp.log(2 * jnp.pi) + squared + jnp.log(p.variance)) / 2
    likelier = jnp.where(log_odds > 0, component[0], component[1])
    return likelier + jnp.log1p(jnp.exp(-jnp.abs(log_odds)))


def _maximisation(
    y: Float[Array, "*V"], count: Float[Array, "*K"], log_odds: Float[Array, "*V"], sets: _Sets
) -> _Parameters:
    keep = sets.mask.astype(y.dtype)
    share = jax.nn.sigmoid(jnp.stack([log_odds, -log_odds])) * keep[None]
    # The contrasts, from t = (share₀ - share₁) / 2, which is small and exact where the shares are both near 1/2.
    t = jnp.tanh(log_odds / 2) / 2 * keep
    n0, n1, y0, y1, t_sum, t_y, t_yy, y_sum, yy_sum = sets.total(
        jnp.stack([*share, *(share * y[None]), t, t * y, t * y * y, y, y * y])
    )
    total = jnp.stack([n0, n1]) + COUNT_FLOOR
    n0, n1 = total
    mean = jnp.stack([y0, y1]) / total
    variance = sets.total(share * (y[None] - sets.spread(mean)) ** 2) / total + VARIANCE_FLOOR
    mean_contrast = (y_sum * t_sum - count * t_y) / (n0 * n1)
    variance_contrast = (yy_sum * t_sum - count * t_yy) / (n0 * n1) - mean_contrast * (mean[0] + mean[1])
    difference = variance[1] - variance[0]
    return _Parameters(
        mean=mean,
        variance=variance,
        log_weight=jnp.log(total / (n0 + n1)[None]),
        mean_contrast=mean_contrast,
        variance_contrast=jnp.where(jnp.abs(difference) > variance[0] / 2, difference, variance_contrast),
        weight_contrast=jnp.where(jnp.abs(t_sum) <= 0.1 * count, jnp.log1p(2 * t_sum / n1), jnp.log(n0 / n1)),
    )
