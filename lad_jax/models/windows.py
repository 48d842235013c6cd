"""Self-attention within windows of a map (spec 1.4)."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from lad_jax.models.region import Region
from lad_jax.rounding import round_up

TRUNCATED_NORMAL = nn.initializers.truncated_normal(0.02)


class ShiftedWindows(nn.Module):
    """Attention within each window of a grid over the map; every other block of Swin shifts its grid.

    The reference rolls the map cyclically, and masks what the roll brought together. Here the grid begins before the
    map instead, so that the same cells share windows, and keys beyond the map are masked: the same numbers (a masked
    weight of e⁻¹⁰⁰ is 0), but nothing moves by an amount that depends on a picture's size. As in the reference, cells
    that pad a map to whole windows are keys like any other.
    """

    heads: int
    window: int
    """Side of a window [cells]."""
    shift: int
    """Shift of the grid to the bottom right, less than a window [cells]."""
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], region: Region) -> Float[Array, "B H W C"]:
        """Attend; `x` is zero outside its picture's region, as the border of a map that fits would be."""
        batch, height, width, channels = x.shape
        front = (self.window - self.shift) % self.window
        padding = [(front, -(side + front) % self.window) for side in (height, width)]
        x = jnp.pad(x, [(0, 0), *padding, (0, 0)])
        keys = self._keys(x, jnp.array([[height, width]]) if region is None else region, front)
        windows = WindowAttention(self.heads, self.window, self.dtype, name="w_msa")(
            partition(x, self.window), partition(keys, self.window)[..., 0]
        )
        grid = (batch, x.shape[1] // self.window, x.shape[2] // self.window, self.window, self.window, channels)
        x = windows.reshape(grid).swapaxes(2, 3).reshape(x.shape)
        return x[:, front : front + height, front : front + width]

    def _keys(self, x: Float[Array, "B H W _"], region: Int[Array, "_ 2"], front: int) -> Bool[Array, "_ H W 1"]:
        """Mask of the padded map's cells in the whole windows, not shifted, that cover a picture's region."""
        covered = round_up(region, self.window)
        rows, columns = (
            (cell >= front)[None] & (cell[None] < front + covered[:, side, None])
            for side, cell in enumerate((jnp.arange(x.shape[1]), jnp.arange(x.shape[2])))
        )
        return (rows[:, :, None] & columns[:, None, :])[..., None]


def partition(x: Array, window: int) -> Array:
    """A map [B, H, W, C] of whole windows as [B, windows, window², C], both row by row."""
    batch, height, width, channels = x.shape
    grid = x.reshape(batch, height // window, window, width // window, window, channels)
    return grid.swapaxes(2, 3).reshape(batch, -1, window * window, channels)


class WindowAttention(nn.Module):
    """Multi-head self-attention of the T cells of each of N windows, biased by their relative position."""

    heads: int
    window: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Float[Array, "B N T C"], keys: Bool[Array, "_ N T"]) -> Float[Array, "B N T C"]:
        """Attend to `keys` alone; a window without any gives finite values that mean nothing."""
        batch, windows, tokens, channels = x.shape
        qkv = dense(3 * channels, self.dtype, name="qkv")(x)
        qkv = qkv.reshape(batch, windows, tokens, 3, self.heads, channels // self.heads)
        q, k, v = (qkv[..., i, :, :] for i in range(3))
        offsets = (2 * self.window - 1) ** 2
        table = self.param("relative_position_bias_table", TRUNCATED_NORMAL, (offsets, self.heads))
        bias = table[relative_position_index(self.window)].transpose(2, 0, 1)
        scaled = q * (channels // self.heads) ** -0.5
        logits = jnp.einsum("bnihc,bnjhc->bnhij", scaled, k, preferred_element_type=jnp.float32) + bias[None, None]
        logits = jnp.where(keys[:, :, None, None], logits, jnp.finfo(logits.dtype).min)
        weights = jax.nn.softmax(logits).astype(self.dtype)
        mixed = jnp.einsum("bnhij,bnjhc->bnihc", weights, v).reshape(x.shape)
        return dense(channels, self.dtype, name="proj")(mixed)


def relative_position_index(window: int) -> Int[np.ndarray, "T T"]:
    """Row of the bias table for a query (first axis) and a key: their offsets in y and x as two digits."""
    offset = np.arange(window)[:, None] - np.arange(window) + window - 1
    index = offset[:, None, :, None] * (2 * window - 1) + offset[None, :, None, :]
    return index.reshape(window**2, window**2)


def dense(channels: int, dtype: jnp.dtype, *, name: str, use_bias: bool = True) -> nn.Dense:
    """A linear layer of a transformer."""
    return nn.Dense(channels, use_bias=use_bias, kernel_init=TRUNCATED_NORMAL, dtype=dtype, name=name)
