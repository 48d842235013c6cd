"""Feature pyramid network (spec 1.5)."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float


class FPN(nn.Module):
    """Backbone maps, fine to coarse, to `n_levels` maps of equal channels.

    Levels beyond the backbone's come from stride-2 convolutions on the coarsest output, without ReLU between.
    """

    channels: int
    n_levels: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, features: Sequence[Float[Array, "B _ _ _"]]) -> tuple[Float[Array, "B _ _ _"], ...]:
        maps = [self._conv(1, f"lateral_convs_{i}")(x) for i, x in enumerate(features)]
        for i in reversed(range(len(maps) - 1)):
            # Canvases are multiples of the coarsest backbone stride, so each map is exactly twice the next.
            maps[i] += jnp.repeat(jnp.repeat(maps[i + 1], 2, axis=1), 2, axis=2)
        outputs = [self._conv(3, f"fpn_convs_{i}")(x) for i, x in enumerate(maps)]
        while len(outputs) < self.n_levels:
            outputs.append(self._conv(3, f"fpn_convs_{len(outputs)}", strides=2)(outputs[-1]))
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
