"""Normalisation layers: one that a convolution takes into itself, and one that follows it."""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lad_jax.models.region import Region, inside

NormName = Literal["frozen_batch", "group"]
"""Name of a norm: `frozen_batch` for pretrained backbones, `group` for training from scratch, few images a device."""
EPSILON = 1e-5


class FrozenBatchNorm(nn.Module):
    """Batch norm with constant statistics: an affine map whose scale and bias are trained (spec 1.1, `norm_eval`)."""

    @nn.compact
    def __call__(self, channels: int) -> tuple[Float[Array, " C"], Float[Array, " C"]]:
        """Factor and offset of each channel, for the convolution before it to take into its kernel and bias."""
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,)).value
        variance = self.variable("batch_stats", "var", jnp.ones, (channels,)).value
        factor = scale * jax.lax.rsqrt(variance + EPSILON)
        return factor, bias - mean * factor


class GroupNorm(nn.Module):
    """Group norm with statistics of the region alone.

    It is applied as one factor and one offset a channel, as frozen batch norm: flax's layer works on maps throughout,
    and takes more than twice the time on a CPU.
    """

    groups: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], region: Region) -> Float[Array, "B H W C"]:
        """Normalise by mean and variance of each picture's region in a group of channels."""
        batch, height, width, channels = x.shape
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        cells = height * width if region is None else (region[:, :1] * region[:, 1:]).astype(jnp.float32)
        inner = inside(x, region).astype(jnp.float32)
        # Over the map, then both sums at once over a group's channels: fewer kernels on a GPU, and quicker on a CPU.
        sums = jnp.stack([jnp.sum(inner, axis=(1, 2)), jnp.sum(inner**2, axis=(1, 2))])
        total, square = jnp.sum(sums.reshape(2, batch, self.groups, -1), axis=3)
        count = cells * (channels // self.groups)
        mean = total / count
        variance = jnp.maximum(square / count - mean**2, 0.0)
        mean, variance = (jnp.repeat(s, channels // self.groups, axis=1) for s in (mean, variance))
        factor = scale[None] * jax.lax.rsqrt(variance + EPSILON)
        factor, offset = factor[:, None, None], (bias[None] - mean * factor)[:, None, None]
        return (x.astype(jnp.float32) * factor + offset).astype(self.dtype)
