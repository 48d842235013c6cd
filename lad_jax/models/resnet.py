"""ResNet v1b and ResNeXt (spec 1.1, 1.2), also with deformable convolutions.

Submodules carry torchvision's names, so weights convert name by name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lad_jax.fields import check_range, option
from lad_jax.models.conv import Conv, relu
from lad_jax.models.deform_conv import DeformConv
from lad_jax.models.norm import FrozenBatchNorm, GroupNorm, NormName
from lad_jax.models.region import Region, cells, inside
from lad_jax.models.stem import Stem

STAGES = {
    10: ("basic", (1, 1, 1, 1)),
    14: ("bottleneck", (1, 1, 1, 1)),
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}
"""Kind of block and number of blocks of each stage, by depth. 10 and 14 are not published: they are small."""

_WITH_BOTTLENECKS = [depth for depth, (kind, _) in STAGES.items() if kind == "bottleneck"]

Style = Literal["pytorch", "caffe"]
"""Convolution of a bottleneck that has the stride: the 3x3 (`pytorch`) or the first 1x1 (`caffe`)."""


@dataclass(frozen=True)
class ResNetOptions:
    """Options of a ResNet or ResNeXt."""

    family: Literal["resnet"] = "resnet"
    """Kind of backbone, whose options the other keys of this group are."""
    depth: Literal[10, 14, 18, 34, 50, 101, 152] = 50
    """Number of layers: 10, 18 and 34 in basic blocks, the others in bottlenecks."""
    width: int = 64
    """Channels of the stem; the stages have 1, 2, 4 and 8 times as many (times 4 with bottlenecks)."""
    groups: int = 1
    """Groups of a bottleneck's 3x3 convolution: above 1 it is a ResNeXt's (`64` of ResNeXt-101-64x4d)."""
    group_width: int = 4
    """Channels of a group in the first stage (`4` of ResNeXt-101-64x4d); twice as many in each further stage."""
    deformable_stages: tuple[int, ...] = ()
    """Stages, 1 to 4, whose 3x3 convolutions are deformable (DCNv2); bottlenecks only."""
    style: Style = "pytorch"
    """Convolution of a bottleneck that has the stride: the 3x3 (`pytorch`) or the first 1x1 (`caffe`)."""
    norm: NormName = "frozen_batch"
    """Kind of norm: `frozen_batch` for pretrained backbones, `group` for training from scratch, few images a device."""
    norm_groups: int = 32
    """Groups of group norm."""
    frozen_stages: int = option(1, architecture=False)
    """Stages that are not trained. -1: none; 0: the stem; n: also stages 1 to n."""
    remat: bool = option(False, may_change=True, architecture=False)
    """Whether blocks are computed again in the backward pass instead of kept: less memory, more time."""
    pretrained: str = option("", may_change=True, architecture=False)
    """ImageNet weights with torchvision's names: a file (`.npz`, `.safetensors`, `.pth`) or, on the Hugging Face hub,
    `hf://OWNER/REPO[@REVISION][/FILE]`; empty: from scratch."""

    def __post_init__(self) -> None:
        check_range(self, "width", "groups", "group_width", "norm_groups", least=1)
        check_range(self, "frozen_stages", least=-1, most=4)
        if STAGES[self.depth][0] == "basic":
            for name, without in [("groups", 1), ("deformable_stages", ())]:
                if getattr(self, name) != without:
                    raise ValueError(
                        f"{name} is {getattr(self, name)}, but depth {self.depth} has no bottlenecks: set it to "
                        f"{without}, or depth to {', '.join(map(str, _WITH_BOTTLENECKS))}"
                    )
        if not set(self.deformable_stages) <= {1, 2, 3, 4}:
            raise ValueError(f"deformable_stages is {self.deformable_stages}; allowed: some of 1, 2, 3, 4")
        if self.norm == "group":
            for what, channels in [("width", self.width), ("groups · group_width =", self.inner_channels(1))]:
                if channels % self.norm_groups:
                    raise ValueError(f"norm_groups {self.norm_groups} does not divide {what} {channels}")

    def planes(self, stage: int) -> int:
        """Channels that the blocks of a stage are named after; bottlenecks give four times as many."""
        return self.width * 2 ** (stage - 1)

    def inner_channels(self, stage: int) -> int:
        """Channels of a bottleneck's 3x3 convolution."""
        return self.groups * self.group_width * 2 ** (stage - 1) if self.groups > 1 else self.planes(stage)


class ResNet(nn.Module):
    """Images to the feature maps C2, C3, C4, C5 (strides 4, 8, 16, 32), from `first_level` on."""

    options: ResNetOptions
    first_level: int
    """Level of the finest map that is returned: 2 for C2 to 5 for C5."""
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, images: Float[Array, "B H W 3"], region: Region = None) -> tuple[Float[Array, "B _ _ _"], ...]:
        """Maps of normalised images, zero outside their content; `region` in pixels, multiples of 32."""
        options = self.options
        norm, region = _norm(options, self.dtype), cells(region, 2)
        x = _normed(Stem(options.width, self.dtype, _KERNEL_INIT, name="conv1"), norm(name="bn1"), images, region)
        x = inside(relu(x), region)
        x = nn.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        region = cells(region, 2)
        x = self._frozen(0, x)
        _, depths = STAGES[options.depth]
        features = []
        for stage, depth in enumerate(depths, start=1):
            block = _block(options, stage)
            for index in range(depth):
                stride = 2 if stage > 1 and index == 0 else 1
                x = block(options.planes(stage), stride, norm, self.dtype, name=f"layer{stage}_{index}")(x, region)
                region = cells(region, stride)
            x = self._frozen(stage, x)
            features.append(x)
        return tuple(features[self.first_level - 2 :])

    def _frozen(self, stage: int, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Cut the gradient behind a frozen stage: nothing below it is computed in the backward pass."""
        return jax.lax.stop_gradient(x) if stage <= self.options.frozen_stages else x


def is_frozen(path: tuple[str, ...], frozen_stages: int) -> bool:
    """Whether the backbone parameter at `path` belongs to the stem or to a stage that is frozen."""
    name = path[0]
    stage = int(name.removeprefix("layer").split("_")[0]) if name.startswith("layer") else 0
    return stage <= frozen_stages


_KERNEL_INIT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


def _conv(dtype: jnp.dtype) -> Callable[..., Conv]:
    """A constructor of convolutions."""
    return partial(Conv, dtype=dtype, kernel_init=_KERNEL_INIT)


def _norm(options: ResNetOptions, dtype: jnp.dtype) -> Callable[..., nn.Module]:
    """A constructor of norm layers."""
    if options.norm == "group":
        return partial(GroupNorm, groups=options.norm_groups, dtype=dtype)
    return FrozenBatchNorm


def _normed(conv: nn.Module, norm: nn.Module, x: Float[Array, "B H W C"], out: Region) -> Float[Array, "B _ _ _"]:
    """A convolution and its norm; one with constant statistics is taken into the convolution: no map of its own."""
    if isinstance(norm, FrozenBatchNorm):
        return conv(x, *norm(conv.channels))
    return norm(conv(x), out)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    planes: int
    stride: int
    norm: Callable[..., nn.Module]
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], region: Region) -> Float[Array, "B _ _ _"]:
        """`region` is that of the input."""
        conv, norm, out = _conv(self.dtype), self.norm, cells(region, self.stride)
        first, second = conv(self.planes, 3, stride=self.stride, name="conv1"), conv(self.planes, 3, name="conv2")
        y = relu(_normed(first, norm(name="bn1"), inside(x, region), out))
        y = _normed(second, norm(name="bn2"), inside(y, out), out)
        return relu(y + _shortcut(x, out, self.planes, self.stride, conv, norm))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions and a shortcut; the last has four times `planes` channels."""

    planes: int
    stride: int
    norm: Callable[..., nn.Module]
    dtype: jnp.dtype
    style: Style
    inner: int
    """Channels of the 3x3 convolution."""
    groups: int
    """Groups of the 3x3 convolution."""
    deformable: bool
    """Whether the 3x3 convolution is deformable."""

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], region: Region) -> Float[Array, "B _ _ _"]:
        """`region` is that of the input."""
        conv, norm = _conv(self.dtype), self.norm
        first, second = (1, self.stride) if self.style == "pytorch" else (self.stride, 1)
        between, out = cells(region, first), cells(region, self.stride)
        y = relu(_normed(conv(self.inner, 1, stride=first, name="conv1"), norm(name="bn1"), x, between))
        y = relu(_normed(self._conv2(second), norm(name="bn2"), inside(y, between), out))
        y = _normed(conv(4 * self.planes, 1, name="conv3"), norm(name="bn3"), y, out)
        return relu(y + _shortcut(x, out, 4 * self.planes, self.stride, conv, norm))

    def _conv2(self, stride: int) -> nn.Module:
        if self.deformable:
            return DeformConv(self.inner, self.dtype, _KERNEL_INIT, stride=stride, groups=self.groups, name="conv2")
        return _conv(self.dtype)(self.inner, 3, stride=stride, groups=self.groups, name="conv2")


def _block(options: ResNetOptions, stage: int) -> Callable[..., nn.Module]:
    """A constructor of a stage's blocks."""

    def remat(block: type[nn.Module]) -> type[nn.Module]:
        return nn.remat(block) if options.remat else block

    if STAGES[options.depth][0] == "basic":
        return remat(BasicBlock)
    return partial(
        remat(Bottleneck),
        style=options.style,
        inner=options.inner_channels(stage),
        groups=options.groups,
        deformable=stage in options.deformable_stages,
    )


def _shortcut(
    x: Float[Array, "B H W C"],
    out: Region,
    channels: int,
    stride: int,
    conv: Callable[..., Conv],
    norm: Callable[..., nn.Module],
) -> Float[Array, "B _ _ _"]:
    """The input, projected where its shape changes; `out` is the region of the result."""
    if stride == 1 and x.shape[-1] == channels:
        return x
    return _normed(conv(channels, 1, stride=stride, name="downsample_0"), norm(name="downsample_1"), x, out)
