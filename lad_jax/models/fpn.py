"""Feature pyramid network (spec 1.5)."""

from collections.abc import Sequence
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from lad_jax.models.region import Region, inside

ExtraLevels = Literal["output", "input"]
"""Input of the first level beyond the backbone's: the pyramid's coarsest output there, or the backbone's."""


class FPN(nn.Module):
    """Backbone maps, fine to coarse, to `n_levels` maps of equal channels.

    Levels beyond the backbone's come from stride-2 convolutions, each on the level before, without ReLU between.
    """

    channels: int
    n_levels: int
    dtype: jnp.dtype
    extra_levels: ExtraLevels = "output"

    @nn.compact
    def __call__(
        self, features: Sequence[Float[Array, "B _ _ _"]], regions: Sequence[Region]
    ) -> tuple[Float[Array, "B _ _ _"], ...]:
        """Maps of all levels; `regions` has one for each, and the first are also those of the features."""
        maps = [self._conv(1, f"lateral_convs_{i}")(x) for i, x in enumerate(features)]
        for i in reversed(range(len(maps) - 1)):
            # Canvases are multiples of the coarsest backbone stride, so each map is exactly twice the next.
            maps[i] += jnp.repeat(jnp.repeat(maps[i + 1], 2, axis=1), 2, axis=2)
        outputs = [self._conv(3, f"fpn_convs_{i}")(inside(x, regions[i])) for i, x in enumerate(maps)]
        coarsest = outputs[-1] if self.extra_levels == "output" else features[-1]
        for i in range(len(outputs), self.n_levels):
            coarsest = self._conv(3, f"fpn_convs_{i}", strides=2)(inside(coarsest, regions[i - 1]))
            outputs.append(coarsest)
        return tuple(outputs)

    def _conv(self, kernel: int, name: str, strides: int = 1) -> nn.Conv:
        return nn.Conv(
            self.channels,
            (kernel, kernel),
            strides=strides,
            padding=kernel // 2,
            kernel_init=nn.initializers.xavier_uniform(),
            dtype=self.dtype,
            name=name,
        )
