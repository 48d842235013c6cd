"""Swin transformer (spec 1.4). Submodules carry mmdet's names, so weights convert name by name."""

from dataclasses import dataclass
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lad_jax.fields import check_range, option
from lad_jax.models.region import Region, cells, inside
from lad_jax.models.windows import ShiftedWindows, dense

PATCH = 4
"""Side of the patches that pixels are embedded by: the stride of the finest map."""


@dataclass(frozen=True)
class SwinOptions:
    """Options of a Swin transformer; `SWIN` has the published sizes."""

    family: Literal["swin"] = "swin"
    """Kind of backbone, whose options the other keys of this group are."""
    embed: int = 96
    """Channels of the first stage; the stages have 1, 2, 4 and 8 times as many."""
    depths: tuple[int, int, int, int] = (2, 2, 6, 2)
    """Number of blocks of each stage."""
    heads: tuple[int, int, int, int] = (3, 6, 12, 24)
    """Number of attention heads of each stage."""
    window: int = 7
    """Side of an attention window [cells]."""
    drop_path: float = option(0.2, architecture=False)
    """Probability that the last block is left out for a picture in training; from the first on it rises linearly from
    0."""
    remat: bool = option(False, may_change=True, architecture=False)
    """Whether blocks are computed again in the backward pass instead of kept: less memory, more time."""
    pretrained: str = option("", may_change=True, architecture=False)
    """ImageNet weights with the names of timm, of the original or of mmdet: a file or, on the Hugging Face hub,
    `hf://OWNER/REPO[@REVISION][/FILE]`; empty: from scratch."""

    def __post_init__(self) -> None:
        check_range(self, "embed", "window", "depths", least=1)
        check_range(self, "drop_path", least=0, below=1)
        for stage, heads in enumerate(self.heads):
            if heads < 1 or self.channels(stage) % heads:
                raise ValueError(
                    f"heads[{stage}] is {heads}, which does not divide the {self.channels(stage)} channels of that "
                    f"stage: change heads, or embed ({self.embed})"
                )

    def channels(self, stage: int) -> int:
        """Channels of the maps of a stage, 0 to 3."""
        return self.embed * 2**stage


class Swin(nn.Module):
    """Images to the feature maps C2, C3, C4, C5 (strides 4, 8, 16, 32), from `first_level` on."""

    options: SwinOptions
    first_level: int
    """Level of the finest map that is returned: 2 for C2 to 5 for C5."""
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, images: Float[Array, "B H W 3"], region: Region = None) -> tuple[Float[Array, "B _ _ _"], ...]:
        """Maps of normalised images, zero outside their content; `region` in pixels, multiples of 32.

        With a random key named `drop_path`, blocks are left out at random.
        """
        options = self.options
        block = nn.remat(Block) if options.remat else Block
        rates = np.split(np.linspace(0, options.drop_path, sum(options.depths)), np.cumsum(options.depths)[:-1])
        x = PatchEmbed(options.embed, self.dtype, name="patch_embed")(images)
        region = cells(region, PATCH)
        features = []
        for stage in range(4):
            if stage:
                x = PatchMerging(self.dtype, name=f"stages_{stage - 1}_downsample")(x)
                region = cells(region, 2)
            for index, rate in enumerate(rates[stage]):
                shift = options.window // 2 if index % 2 else 0
                name = f"stages_{stage}_blocks_{index}"
                x = block(options.heads[stage], options.window, shift, float(rate), self.dtype, name=name)(x, region)
            if stage + 2 >= self.first_level:
                features.append(layer_norm(f"norm{stage}")(x).astype(self.dtype))
        return tuple(features)


class PatchEmbed(nn.Module):
    """The embedding of each 4x4 patch of pixels as a vector."""

    channels: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, images: Float[Array, "B H W 3"]) -> Float[Array, "B _ _ _"]:
        """Embed images, whose sides are multiples of 4."""
        sides = (PATCH, PATCH)
        x = nn.Conv(self.channels, sides, strides=sides, padding=0, dtype=self.dtype, name="projection")(images)
        return layer_norm("norm")(x).astype(self.dtype)


class PatchMerging(nn.Module):
    """The reduction of a map to half the sides and twice the channels."""

    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B _ _ _"]:
        """Reduce a map with even sides."""
        batch, height, width, channels = x.shape
        quads = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
        # As in mmdet the four cells are the fastest index: channel · 4 + row · 2 + column.
        x = quads.transpose(0, 1, 3, 5, 2, 4).reshape(batch, height // 2, width // 2, 4 * channels)
        return dense(2 * channels, self.dtype, name="reduction", use_bias=False)(layer_norm("norm")(x))


class Block(nn.Module):
    """Attention within windows, then a perceptron, each beside a shortcut and left out for some pictures."""

    heads: int
    window: int
    shift: int
    drop_path: float
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], region: Region) -> Float[Array, "B H W C"]:
        """Transform a map; `region` is the one of the map."""
        attention = ShiftedWindows(self.heads, self.window, self.shift, self.dtype, name="attn")
        x += self._drop(attention(inside(layer_norm("norm1")(x), region), region))
        return x + self._drop(MLP(self.dtype, name="ffn")(layer_norm("norm2")(x)))

    def _drop(self, branch: Float[Array, "B H W C"]) -> Float[Array, "B H W C"]:
        """Leave a branch out for some pictures, at random, keeping its expectation: stochastic depth."""
        if not self.drop_path or not self.has_rng("drop_path"):
            return branch
        keep = 1 - self.drop_path
        kept = jax.random.bernoulli(self.make_rng("drop_path"), keep, (len(branch), 1, 1, 1))
        return jnp.where(kept, branch / keep, 0)


class MLP(nn.Module):
    """A perceptron of two layers with a GELU between, four times as wide inside."""

    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H W C"]:
        """Transform each cell by itself."""
        y = nn.gelu(dense(4 * x.shape[-1], self.dtype, name="layers_0_0")(x), approximate=False)
        return dense(x.shape[-1], self.dtype, name="layers_1")(y)


def layer_norm(name: str) -> nn.LayerNorm:
    """A layer norm in float32, whatever comes in, with a variance of centred values."""
    return nn.LayerNorm(epsilon=1e-5, dtype=jnp.float32, use_fast_variance=False, name=name)


SWIN: dict[str, SwinOptions] = {
    "tiny": SwinOptions(),
    "small": SwinOptions(depths=(2, 2, 18, 2)),
    "base": SwinOptions(embed=128, depths=(2, 2, 18, 2), heads=(4, 8, 16, 32), drop_path=0.3),
    "large": SwinOptions(embed=192, depths=(2, 2, 18, 2), heads=(6, 12, 24, 48), drop_path=0.3),
}
"""Published sizes, by name."""
