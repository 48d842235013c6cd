"""Names and layouts of our parameters in the references (spec 1.7)."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

Path = tuple[str, ...]
_LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


def torch_name(path: Path) -> str:
    """Name of a backbone's parameter in torch: `('layer1_0', 'conv1', 'kernel')` is `layer1.0.conv1.weight`.

    An underscore beside a number stands for a dot.
    """
    modules = [re.sub(r"_(?=\d)|(?<=\d)_", ".", module) for module in path[:-1]]
    return ".".join([*modules, _LEAVES.get(path[-1], path[-1])])


def reference_name(path: Path) -> str:
    """Name of a detector's parameter in mmdet: `('bbox_head', 'atss_cls', 'kernel')` is `bbox_head.atss_cls.weight`."""
    if path[-1].startswith("scales_"):
        return f"bbox_head.scales.{path[-1].removeprefix('scales_')}.scale"
    return re.sub(r"(lateral|fpn)_convs\.(\d+)", r"\1_convs.\2.conv", torch_name(path))


def is_offset(name: str) -> bool:
    """Whether a weight belongs to the convolution inside a deformable one that gives its taps' offsets and masks."""
    return ".conv_offset." in name


def renamed(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays by today's names: in mmdet's first years `conv2.conv_offset` was called `conv2_offset`."""
    return {re.sub(r"((?:^|\.)conv2|convs\.\d+\.conv)_offset\.", r"\1.conv_offset.", k): a for k, a in arrays.items()}


def from_torch_layout(array: np.ndarray, path: Path) -> np.ndarray:
    """An array in our layout: kernels OIHW to HWIO and OI to IO, anything else unchanged."""
    return array.transpose(np.argsort(_torch_axes(path, array.ndim)))


def to_torch_layout(array: np.ndarray, path: Path) -> np.ndarray:
    """An array in torch's layout: kernels HWIO to OIHW and IO to OI, anything else unchanged."""
    return array.transpose(_torch_axes(path, array.ndim))


def torch_shape(leaf: Any, path: Path) -> tuple[int, ...]:
    """The shape that `leaf` (an array, or its description) has in torch's layout."""
    return tuple(leaf.shape[axis] for axis in _torch_axes(path, leaf.ndim))


def _torch_axes(path: Path, ndim: int) -> tuple[int, ...]:
    """Our axes of a parameter in torch's order."""
    of_kernels = {4: (3, 2, 0, 1), 2: (1, 0)}
    return of_kernels[ndim] if path[-1] == "kernel" and ndim in of_kernels else tuple(range(ndim))
