"""Detection heads."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from lad_jax.models import objectness
from lad_jax.models.conv import relu
from lad_jax.models.deform_conv import DeformConv
from lad_jax.models.norm import GroupNorm
from lad_jax.models.region import Region, inside

Objectness = Literal["none", "implicit", "conditional"]
"""Objectness, which multiplies a class's probability: none (PAA), IOP, or COP (spec 1.8)."""
PRIOR_PROBABILITY, BACKGROUND_PROBABILITY = 0.01, 1e-4
"""Score of every class at the start; what implicit objectness subtracts from it at the start."""
CLASSIFIER = "atss_cls"
"""Name of the head's convolution to the classes, the one layer whose shape their number gives."""

_KERNEL_INIT = nn.initializers.normal(0.01)


class HeadOutputs(NamedTuple):
    """Outputs of a head at every prior, level by level, float32."""

    class_log_p: Float[Array, "B A C"]
    class_log_not_p: Float[Array, "B A C"]
    box_deltas: Float[Array, "B A 4"]
    quality_logit: Float[Array, "B A"] | None


class PAAHead(nn.Module):
    """Two towers of convolutions shared by all levels: one for classes, one for boxes and their quality (spec 1.6).

    Objectness is predicted from the box tower's features.
    """

    n_classes: int
    channels: int
    tower_convs: int
    norm_groups: int
    objectness: Objectness
    iou_branch: bool
    dtype: jnp.dtype
    deformable: bool = False
    """Whether the last convolution of each tower is deformable."""
    remat: bool = False
    """Whether the towers' norms and activations are computed again in the backward pass."""

    @nn.compact
    def __call__(self, features: Sequence[Float[Array, "B _ _ _"]], regions: Sequence[Region]) -> HeadOutputs:
        """Predict from the maps of all levels; `regions` has one for each."""
        norm = partial(GroupNorm, groups=self.norm_groups, dtype=self.dtype)

        def tower(name: str) -> list[tuple[nn.Module, nn.Module]]:
            return [(self._tower_conv(name, i), norm(name=f"{name}_{i}_gn")) for i in range(self.tower_convs)]

        class_tower, box_tower = tower("cls_convs"), tower("reg_convs")
        to_class = self._conv(self.n_classes, CLASSIFIER, bias=_logit(PRIOR_PROBABILITY))
        to_box = self._conv(4, "atss_reg")
        to_quality = self._conv(1, "atss_centerness") if self.iou_branch else None
        to_probability = self._to_probability()
        normalised = nn.remat(_normalised) if self.remat else _normalised
        levels = []
        for level, (x, region) in enumerate(zip(features, regions, strict=True)):
            scale = self.param(f"scales_{level}", nn.initializers.ones, ())
            class_features, box_features = (
                _apply(layers, x, region, normalised) for layers in (class_tower, box_tower)
            )
            logits = to_class(class_features).astype(jnp.float32)
            maps = [*to_probability(logits, box_features, region), to_box(box_features) * scale.astype(self.dtype)]
            if to_quality is not None:
                maps.append(to_quality(box_features))
            maps = [y.astype(jnp.float32) for y in maps]
            levels.append([y.reshape(y.shape[0], -1, y.shape[-1]) for y in maps])
        log_p, log_not_p, deltas, *quality = (jnp.concatenate(maps, axis=1) for maps in zip(*levels, strict=True))
        return HeadOutputs(log_p, log_not_p, deltas, quality[0][..., 0] if quality else None)

    def _to_probability(self):
        """A function from the class logits, box features and region of a level to (log p, log(1-p))."""
        if self.objectness == "implicit":
            present = self._conv(1, "objectness")
            bias = self._conv(1, "obj_bias", bias=_logit(BACKGROUND_PROBABILITY))
            return lambda logits, x, _: objectness.implicit(
                logits, present(x).astype(jnp.float32), bias(x).astype(jnp.float32)
            )
        if self.objectness == "conditional":
            coefficients = self._conv(objectness.NEIGHBOURHOOD, "coeff_conv")
            return lambda logits, x, region: objectness.conditional(logits, coefficients(x).astype(jnp.float32), region)
        return lambda logits, _, __: objectness.plain(logits)

    def _tower_conv(self, tower: str, i: int) -> nn.Module:
        name = f"{tower}_{i}_conv"
        if self.deformable and i == self.tower_convs - 1:
            return DeformConv(self.channels, self.dtype, _KERNEL_INIT, _KERNEL_INIT, name=name)
        return self._conv(self.channels, name, use_bias=False)

    def _conv(self, channels: int, name: str, *, use_bias: bool = True, bias: float = 0.0) -> nn.Conv:
        return nn.Conv(
            channels,
            (3, 3),
            padding=1,
            use_bias=use_bias,
            kernel_init=_KERNEL_INIT,
            bias_init=nn.initializers.constant(bias),
            dtype=self.dtype,
            name=name,
        )


def _logit(p: float) -> float:
    return -math.log(1 / p - 1)


def _apply(
    tower: list[tuple[nn.Module, nn.Module]],
    x: Float[Array, "B H W C"],
    region: Region,
    normalised: Callable[..., Float[Array, "B H W _"]],
) -> Float[Array, "B H W _"]:
    """Features of a tower, zero outside the region; `normalised` is `_normalised`, or that with `nn.remat`."""
    x = inside(x, region)
    for conv, norm in tower:
        x = normalised(norm, conv(x), region)
    return x


def _normalised(norm: nn.Module, x: Float[Array, "B H W C"], region: Region) -> Float[Array, "B H W C"]:
    """Norm and activation that follow a convolution, zero outside the region."""
    return inside(relu(norm(x, region)), region)
