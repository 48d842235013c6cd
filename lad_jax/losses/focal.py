"""Focal losses of one class, from the logarithms of its probability and of the complement (spec 6.2)."""

import jax.numpy as jnp
from jaxtyping import Array, Float

ALPHA = 0.25
"""Weight of a class that is present. The exponent gamma is 2."""


def focal_positive(log_p: Float[Array, "..."], log_not_p: Float[Array, "..."]) -> Float[Array, "..."]:
    """Focal loss of an entry whose class is present: -α (1-p)² ln p."""
    return -ALPHA * jnp.exp(2 * log_not_p) * log_p


def focal_negative(log_p: Float[Array, "..."], log_not_p: Float[Array, "..."]) -> Float[Array, "..."]:
    """Focal loss of an entry whose class is absent: -(1-α) p² ln(1-p)."""
    return -(1 - ALPHA) * jnp.exp(2 * log_p) * log_not_p


def quality_focal(
    log_p: Float[Array, "..."], log_not_p: Float[Array, "..."], target: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Quality focal loss of an entry with a target y between 0 and 1: -(p - y)² (y ln p + (1-y) ln(1-p))."""
    return -((jnp.exp(log_p) - target) ** 2) * (target * log_p + (1 - target) * log_not_p)
