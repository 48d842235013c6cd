"""Swin transformer (spec 1.4). Submodules carry mmdet's names, so weights convert name by name."""

from dataclasses import dataclass
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from lad_jax.models.region import Region


@dataclass(frozen=True)
class SwinOptions:
    """A Swin transformer; `SWIN` has the published sizes."""

    family: Literal["swin"] = "swin"
    embed: int = 96
    """Channels of the first stage; the stages have 1, 2, 4 and 8 times as many."""
    depths: tuple[int, int, int, int] = (2, 2, 6, 2)
    """Blocks of each stage."""
    heads: tuple[int, int, int, int] = (3, 6, 12, 24)
    """Attention heads of each stage."""
    window: int = 7
    """Side of an attention window [tokens]."""
    drop_path: float = 0.2
    """Probability that the last block is left out for a picture in training; it rises linearly from 0."""
    remat: bool = False
    """Compute each block again in the backward pass instead of keeping its activations: less memory, more time."""
    pretrained: str = ""
    """ImageNet weights with the names of timm, of the original or of mmdet: a file or, on the Hugging Face hub,
    `hf://OWNER/REPO[@REVISION][/FILE]`; empty: from scratch."""


class Swin(nn.Module):
    """Images to the feature maps C2, C3, C4, C5 (strides 4, 8, 16, 32), from `first_level` on."""

    options: SwinOptions
    first_level: int
    """The finest map that is returned: 2 for C2 to 5 for C5."""
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, images: Float[Array, "B H W 3"], region: Region = None) -> tuple[Float[Array, "B _ _ _"], ...]:
        """The maps of normalised images, zero outside their content; `region` in pixels, multiples of 32."""
        raise NotImplementedError


SWIN: dict[str, SwinOptions] = {
    "tiny": SwinOptions(),
    "small": SwinOptions(depths=(2, 2, 18, 2)),
    "base": SwinOptions(embed=128, depths=(2, 2, 18, 2), heads=(4, 8, 16, 32), drop_path=0.3),
    "large": SwinOptions(embed=192, depths=(2, 2, 18, 2), heads=(6, 12, 24, 48), drop_path=0.3),
}
"""The published sizes."""
