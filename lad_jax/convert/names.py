"""What the references call our parameters (spec 1.7), and how they lay them out."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

Path = tuple[str, ...]
_LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


def torch_name(path: Path) -> str:
    """`('layer1_0', 'conv1', 'kernel')` as `layer1.0.conv1.weight`: torchvision's names of a backbone."""
    modules = [re.sub(r"_(\d+)$", r".\1", module) for module in path[:-1]]
    return ".".join([*modules, _LEAVES[path[-1]]])


def reference_name(path: Path) -> str:
    """`('bbox_head', 'cls_convs_0_gn', 'scale')` as `bbox_head.cls_convs.0.gn.weight`: mmdet's names of a detector."""
    if path[-1].startswith("scales_"):
        return f"bbox_head.scales.{path[-1].removeprefix('scales_')}.scale"
    name = re.sub(r"convs_(\d+)_(conv|gn)", r"convs.\1.\2", torch_name(path))
    return re.sub(r"(lateral|fpn)_convs\.(\d+)", r"\1_convs.\2.conv", name)


def is_offset(name: str) -> bool:
    """Whether a weight belongs to the convolution inside a deformable one that tells its taps where to look."""
    return ".conv_offset." in name


def renamed(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays by today's names: in mmdet's first years `conv2.conv_offset` was called `conv2_offset`."""
    return {re.sub(r"((?:^|\.)conv2|convs\.\d+\.conv)_offset\.", r"\1.conv_offset.", k): a for k, a in arrays.items()}


def from_torch_layout(array: np.ndarray) -> np.ndarray:
    """Kernels OIHW to HWIO; anything else as it is."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array


def to_torch_layout(array: np.ndarray) -> np.ndarray:
    """Kernels HWIO to OIHW; anything else as it is."""
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array


def torch_shape(leaf: Any) -> tuple[int, ...]:
    """The shape that `leaf` (an array, or its description) has in torch's layout."""
    shape = tuple(leaf.shape)
    return (shape[3], shape[2], shape[0], shape[1]) if len(shape) == 4 else shape
