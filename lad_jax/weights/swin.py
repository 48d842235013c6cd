"""State dicts of Swin, as its authors and timm lay them out, by mmdet's names (spec 1.4)."""

import math
import re
from collections.abc import Mapping

import numpy as np

from lad_jax.models.windows import relative_position_index

Arrays = Mapping[str, np.ndarray]
_RENAMED = {
    r"^patch_embed\.proj\.": "patch_embed.projection.",
    r"^layers\.": "stages.",
    r"\.attn\.(?=qkv|proj|relative)": ".attn.w_msa.",
    r"\.mlp\.fc1\.": ".ffn.layers.0.0.",
    r"\.mlp\.fc2\.": ".ffn.layers.1.",
}
_CLASSIFIER = ("norm.", "head.")
_DOWNSAMPLE = re.compile(r"layers\.(\d+)\.downsample\.(.+)")


def is_original(arrays: Arrays) -> bool:
    """Whether the names of a state dict are those of Swin's authors or of timm."""
    return "patch_embed.proj.weight" in arrays


def from_original(arrays: Arrays) -> dict[str, np.ndarray]:
    """The weights of a classifier by mmdet's names, in its order of the channels where maps are merged.

    The authors count the merging of two stages to the first of them, timm to the second, which its files have as
    `layers.3.downsample`. Both name the four cells of a patch block by block, mmdet channel by channel.
    """
    first = min((int(match[1]) for name in arrays if (match := _DOWNSAMPLE.match(name))), default=0)
    result = {}
    for name, array in arrays.items():
        if name.startswith(_CLASSIFIER) or name.endswith("attn_mask"):
            continue
        if match := _DOWNSAMPLE.fullmatch(name):
            result[f"stages.{int(match[1]) - first}.downsample.{match[2]}"] = _channel_major(array)
            continue
        for pattern, replacement in _RENAMED.items():
            name = re.sub(pattern, replacement, name)
        result[name] = array
    return result


def output_norms(wanted: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Layer norms of the maps that a detector takes, before any training; classifiers have none."""
    return {
        name: (np.ones if name.endswith("weight") else np.zeros)(shape, np.float32)
        for name, shape in wanted.items()
        if is_output_norm(name)
    }


def is_output_norm(name: str) -> bool:
    """Whether a parameter is of the layer norm of a map that a detector takes."""
    return re.fullmatch(r"(backbone\.)?norm\d\.(weight|bias)", name) is not None


def position_indices(arrays: Arrays) -> dict[str, np.ndarray]:
    """The constants that mmdet saves beside its tables of position biases, and needs to load strictly."""
    return {
        name.replace("bias_table", "index"): relative_position_index(window_of(table.shape)).astype(np.int64)
        for name, table in arrays.items()
        if name.endswith("relative_position_bias_table")
    }


def window_of(shape: tuple[int, ...]) -> int:
    """Side of the windows that a table of position biases is for, by its shape [(2·window - 1)², heads]."""
    return (math.isqrt(shape[0]) + 1) // 2


def _channel_major(array: np.ndarray) -> np.ndarray:
    """The last axis, 4·C: from [column, row, channel] to [channel, row, column]."""
    cells = array.reshape(*array.shape[:-1], 2, 2, -1)
    return np.moveaxis(cells, (-3, -2, -1), (-1, -2, -3)).reshape(array.shape)
