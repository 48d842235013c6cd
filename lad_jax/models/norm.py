"""Normalisation layers, by name."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

NormName = Literal["frozen_batch", "group"]
"""`frozen_batch` for pretrained backbones, `group` for networks trained from scratch with few images a device."""
EPSILON = 1e-5


class FrozenBatchNorm(nn.Module):
    """Batch norm with constant statistics: an affine map whose scale and bias are trained (spec 1.1, `norm_eval`)."""

    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H W C"]:
        channels = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,)).value
        variance = self.variable("batch_stats", "var", jnp.ones, (channels,)).value
        factor = scale * jax.lax.rsqrt(variance + EPSILON)
        return x * factor.astype(self.dtype) + (bias - mean * factor).astype(self.dtype)


def make_norm(name: NormName, dtype: jnp.dtype, *, groups: int) -> Callable[..., Any]:
    """A constructor of norm layers; `groups` counts the groups of group norm."""
    if name == "group":
        return partial(nn.GroupNorm, num_groups=groups, epsilon=EPSILON, dtype=dtype)
    return partial(FrozenBatchNorm, dtype=dtype)
