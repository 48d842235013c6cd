"""Reductions over masked values: the only place that knows fill values."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

WORST = 1e6
"""Entry of a cost table where the network gave no finite cost. Finite, so that nothing downstream turns NaN."""


def finite(values: Float[Array, "..."]) -> Float[Array, "..."]:
    """Values with NaN and infinities replaced by `WORST`."""
    return jnp.where(jnp.isfinite(values), values, WORST)


def is_finite(values: Float[Array, "..."]) -> Bool[Array, "..."]:
    """Mask of the values that are neither NaN nor infinite."""
    return values < WORST


def total(values: Float[Array, " N"], mask: Bool[Array, " N"]) -> Float[Array, ""]:
    """Sum of the kept values; what is not kept has no gradient."""
    return jnp.sum(jnp.where(mask, values, 0.0))


def argmax(values: Float[Array, "..."], mask: Bool[Array, "..."]) -> Int[Array, "..."]:
    """Index of the largest kept value of the last axis, the first of equals; 0 where nothing is kept."""
    return jnp.argmax(jnp.where(mask, values, -jnp.inf), axis=-1)


def finite_or_0(values: Float[Array, "..."]) -> Float[Array, "..."]:
    """Values with NaN and infinities replaced by 0."""
    return jnp.where(jnp.isfinite(values), values, 0.0)
