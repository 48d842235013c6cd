"""Modulated deformable convolution, 3x3: DCNv2 (spec 1.3)."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lad_jax.models.conv import scaled, shifted

TAPS = 9
"""Number of taps of a 3x3 kernel, row by row."""


class DeformConv(nn.Module):
    """A bias-free 3x3 convolution whose taps are moved by the offsets of `conv_offset`, each weighted by a mask.

    Of the 27 channels of `conv_offset` the first 18 are the taps' offsets in cells, (dy, dx) by (dy, dx), the others
    the logits of their masks. Where it is all zero, this is half the plain convolution.
    """

    channels: int
    dtype: jnp.dtype
    kernel_init: nn.initializers.Initializer
    offset_init: nn.initializers.Initializer = nn.initializers.zeros
    """Initializer of the kernel of `conv_offset`."""
    stride: int = 1
    groups: int = 1

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B H W C"],
        factor: Float[Array, " K"] | None = None,
        offset: Float[Array, " K"] | None = None,
    ) -> Float[Array, "B _ _ K"]:
        """Convolve, with factor and offset as in `Conv`; samples are taken in float32, whatever `dtype`."""
        to_taps = nn.Conv(
            3 * TAPS,
            (3, 3),
            strides=self.stride,
            padding=1,
            kernel_init=self.offset_init,
            dtype=self.dtype,
            name="conv_offset",
        )
        offsets, masks = jnp.split(to_taps(x).astype(jnp.float32), [2 * TAPS], axis=-1)
        kernel = self.param("kernel", self.kernel_init, (3, 3, x.shape[-1] // self.groups, self.channels))
        y = deform_conv(
            x.astype(self.dtype),
            offsets.reshape(*offsets.shape[:-1], TAPS, 2),
            jax.nn.sigmoid(masks),
            scaled(kernel, factor).astype(self.dtype),
            stride=self.stride,
        )
        return shifted(y, offset)


def deform_conv(
    x: Float[Array, "B H W C"],
    offsets: Float[Array, "B h w 9 2"],
    masks: Float[Array, "B h w 9"],
    kernel: Float[Array, "3 3 I O"],
    *,
    stride: int,
) -> Float[Array, "B h w O"]:
    """out(u) = Σ_k W_k · m_k(u) · x(stride · u + k + offset_k(u)), where k runs over (-1, -1), (-1, 0), …, (1, 1).

    Tap by tap, and each is sampled again in the backward pass: nine sampled maps are never held at a time.

    Args:
      x: the map; its channels are in C / I groups.
      offsets: (y, x) for each tap [cells of `x`]; samples are taken in their precision.
      masks: one for each tap.
      kernel: weights, as of a plain convolution.
      stride: stride of the output [cells of `x`].
    """
    shape, n_groups = masks.shape[:3], x.shape[3] // kernel.shape[2]
    centre = stride * jnp.stack(jnp.meshgrid(*map(jnp.arange, shape[1:]), indexing="ij"), axis=-1)[None]
    taps = jnp.stack(jnp.divmod(jnp.arange(TAPS), 3), axis=-1)[:, None, None, None] - 1

    @partial(jax.checkpoint, prevent_cse=False)
    def of_tap(tap, offset, mask, weights):
        position = (centre + tap).astype(offset.dtype) + offset
        seen = (sample(x, position) * mask[..., None]).astype(x.dtype)
        groups = seen.reshape(*shape, n_groups, -1), weights.reshape(weights.shape[0], n_groups, -1)
        return jnp.einsum("bhwgi,igo->bhwgo", *groups).reshape(*shape, -1)

    total, _ = jax.lax.scan(
        lambda total, inputs: (total + of_tap(*inputs).astype(total.dtype), None),
        jnp.zeros((*shape, kernel.shape[3]), offsets.dtype),
        (taps, jnp.moveaxis(offsets, 3, 0), jnp.moveaxis(masks, 3, 0), kernel.reshape(TAPS, *kernel.shape[2:])),
    )
    return total.astype(x.dtype)


def sample(x: Float[Array, "B H W C"], position: Float[Array, "B h w 2"]) -> Float[Array, "B h w C"]:
    """Bilinear values of a map at `position` (y, x), in the position's precision. Cells outside the map count as 0.

    One cell outside and beyond, value and gradient are 0. That includes the border itself, where the outermost taps
    stand before training has moved them.
    """
    size = jnp.array(x.shape[1:3], position.dtype)[None, None, None]
    within = ((position > -1) & (position < size)).all(axis=-1)[..., None]
    position = jnp.where(within, position, 0.0)  # infinities too become indices
    low = jnp.floor(position)
    high_share = position - low
    share = jnp.stack([1 - high_share, high_share], axis=-1) * within[..., None].astype(position.dtype)
    # In the position's precision from here on: the gradient of a cell is a sum over all samples near it.
    padded = jnp.pad(x.astype(position.dtype), ((0, 0), (1, 1), (1, 1), (0, 0)))
    patches = _patches(padded, low.astype(jnp.int32) + 1)
    # A sum and no dot product, whose factors accelerators round.
    return (patches * share[..., 0, :, None, None] * share[..., 1, None, :, None]).sum(axis=(3, 4))


def _patches(x: Float[Array, "B H W C"], corner: Int[Array, "B h w 2"]) -> Float[Array, "B h w 2 2 C"]:
    """The 2x2 cells that begin at each `corner`."""

    def patch(picture, corner):
        return jax.lax.dynamic_slice(picture, (*corner, jnp.int32(0)), (2, 2, picture.shape[-1]))

    of_row = jax.vmap(patch, in_axes=(None, 0))
    return jax.vmap(jax.vmap(of_row, in_axes=(None, 0)))(x, corner)
