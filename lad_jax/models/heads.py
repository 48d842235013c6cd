"""Detection heads."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from lad_jax.models.norm import make_norm

PRIOR_PROBABILITY = 0.01
"""Score of every class at the start."""


class HeadOutputs(NamedTuple):
    """Raw outputs at every prior, level by level, float32."""

    class_logits: Float[Array, "B A C"]
    box_deltas: Float[Array, "B A 4"]
    quality_logit: Float[Array, "B A"]


class PAAHead(nn.Module):
    """Two towers of convolutions shared by all levels: one for classes, one for boxes and their quality (spec 1.6)."""

    n_classes: int
    channels: int
    tower_convs: int
    norm_groups: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, features: Sequence[Float[Array, "B _ _ _"]]) -> HeadOutputs:
        norm = make_norm("group", self.dtype, groups=self.norm_groups)

        def tower(name: str) -> list[tuple[nn.Module, nn.Module]]:
            return [
                (self._conv(self.channels, f"{name}_{i}_conv", use_bias=False), norm(name=f"{name}_{i}_gn"))
                for i in range(self.tower_convs)
            ]

        class_tower, box_tower = tower("cls_convs"), tower("reg_convs")
        to_class = self._conv(self.n_classes, "atss_cls", bias=-math.log(1 / PRIOR_PROBABILITY - 1))
        to_box, to_quality = self._conv(4, "atss_reg"), self._conv(1, "atss_centerness")
        levels = []
        for level, x in enumerate(features):
            scale = self.param(f"scales_{level}", nn.initializers.ones, ())
            class_features, box_features = _apply(class_tower, x), _apply(box_tower, x)
            maps = (
                to_class(class_features),
                to_box(box_features) * scale.astype(self.dtype),
                to_quality(box_features),
            )
            levels.append([y.reshape(y.shape[0], -1, y.shape[-1]).astype(jnp.float32) for y in maps])
        classes, boxes, quality = (jnp.concatenate(parts, axis=1) for parts in zip(*levels, strict=True))
        return HeadOutputs(classes, boxes, quality[..., 0])

    def _conv(self, channels: int, name: str, *, use_bias: bool = True, bias: float = 0.0) -> nn.Conv:
        return nn.Conv(
            channels,
            (3, 3),
            padding=1,
            use_bias=use_bias,
            kernel_init=nn.initializers.normal(0.01),
            bias_init=nn.initializers.constant(bias),
            dtype=self.dtype,
            name=name,
        )


def _apply(tower: list[tuple[nn.Module, nn.Module]], x: Float[Array, "B H W C"]) -> Float[Array, "B H W _"]:
    for conv, norm in tower:
        x = nn.relu(norm(conv(x)))
    return x
