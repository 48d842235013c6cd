"""Advice on a config that does not fit a state dict: the options that its names and shapes show."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from lad_jax.distill import METHODS
from lad_jax.models.resnet import STAGES
from lad_jax.weights.swin import window_of

Shapes = Mapping[str, tuple[int, ...]]
"""Names and shapes of a network, as mmdet has them."""
_OBJECTNESS = {"conditional": "coeff_conv", "implicit": "obj_bias"}
"""The convolution that only a head with this kind of objectness has."""


def advise(given: Shapes, wanted: Shapes, key: str) -> list[str]:
    """A line for each option in which the source's network is another than the config's.

    Args:
      given: names and shapes of the source.
      wanted: names and shapes of the config's network.
      key: config key of the network's options.
    """
    theirs, ours = _architecture(given), _architecture(wanted)
    lines = [
        f"set {key}.{name}={value!r}" + (f" (now {ours[name]!r})" if name in ours else "")
        for name, value in theirs.items()
        if name not in ours or ours[name] != value
    ]
    classes = [shapes.get("bbox_head.atss_cls.weight", (None,))[0] for shapes in (given, wanted)]
    if None not in classes and classes[0] != classes[1]:
        lines.append(
            f"it has {classes[0]} classes, and {classes[1]} are given: by --classes, else by the "
            "validation data of the config"
        )
    return lines


def advise_networks(given: Collection[str], known: Collection[str], needed: Collection[str]) -> list[str]:
    """A line for each network that the source has too many or too few.

    Args:
      given: networks in the source.
      known: networks of the config's method.
      needed: networks that must be in the source.
    """
    lines = []
    for network in [name for name in given if name not in known]:
        methods = [repr(name) for name, method in METHODS.items() if network in method.networks]
        if methods:
            lines.append(f"it has a {network} too: set config.method to one that has ({', '.join(methods)})")
    for network in [name for name in needed if name not in given]:
        methods = [repr(name) for name, method in METHODS.items() if set(method.trained) <= set(given)]
        lines.append(
            f"it has no {network}, which the config's method trains"
            + (f": set config.method to one that does not ({', '.join(methods)})" if methods else "")
        )
    return lines


def _architecture(shapes: Shapes) -> dict[str, Any]:
    """Options of a network by key, as far as its names and shapes show them."""
    result: dict[str, Any] = {}
    if _has(shapes, "backbone.patch_embed."):
        result |= _swin(shapes)
    elif _has(shapes, "backbone."):
        result |= _resnet(shapes)
    if _has(shapes, "neck."):
        result |= _neck(shapes)
    if _has(shapes, "bbox_head."):
        result |= _head(shapes)
    return result


def _resnet(shapes: Shapes) -> dict[str, Any]:
    """Options of a ResNet, by key of its network."""
    result: dict[str, Any] = {"backbone.family": "resnet"}
    kind = "bottleneck" if _has(shapes, "backbone.layer1.0.conv3.") else "basic"
    blocks = tuple(len(_numbers(shapes, rf"backbone\.layer{stage}\.(\d+)\.")) for stage in range(1, 5))
    depths = [depth for depth, stages in STAGES.items() if stages == (kind, blocks)]
    if depths:
        result["backbone.depth"] = depths[0]
    is_batch_norm = any(name.endswith("running_mean") for name in shapes)
    result["backbone.norm"] = "frozen_batch" if is_batch_norm else "group"
    result["backbone.deformable_stages"] = _numbers(shapes, r"backbone\.layer(\d)\.\d+\.conv2\.conv_offset\.")
    if "backbone.conv1.weight" in shapes:
        result["backbone.width"] = shapes["backbone.conv1.weight"][0]
    inner, group_width = _channels(shapes, "backbone.layer1.0.conv2")
    if inner and group_width:
        result["backbone.groups"] = inner // group_width
        if inner > group_width:
            result["backbone.group_width"] = group_width
    return result


def _swin(shapes: Shapes) -> dict[str, Any]:
    """Options of a Swin, by key of its network."""
    depths, tables = [], []
    for stage in range(4):
        depths.append(len(_numbers(shapes, rf"backbone\.stages\.{stage}\.blocks\.(\d+)\.")))
        table = f"backbone.stages.{stage}.blocks.0.attn.w_msa.relative_position_bias_table"
        tables += [shapes[table]] if table in shapes else []
    result: dict[str, Any] = {"backbone.family": "swin", "backbone.depths": tuple(depths)}
    if "backbone.patch_embed.norm.weight" in shapes:
        result["backbone.embed"] = shapes["backbone.patch_embed.norm.weight"][0]
    if len(tables) == 4:
        result["backbone.heads"] = tuple(heads for _, heads in tables)
        result["backbone.window"] = window_of(tables[0])
    return result


def _neck(shapes: Shapes) -> dict[str, Any]:
    """Options of a pyramid, by key of its network."""
    n_inputs = len(_numbers(shapes, r"neck\.lateral_convs\.(\d+)\."))
    pyramid, backbone = _channels(shapes, f"neck.lateral_convs.{n_inputs - 1}.conv")
    _, extra = _channels(shapes, f"neck.fpn_convs.{n_inputs}.conv")
    return {
        "first_level": 6 - n_inputs,
        "n_levels": len(_numbers(shapes, r"neck\.fpn_convs\.(\d+)\.")),
        "extra_levels": "input" if extra == backbone != pyramid else "output",
    }


def _head(shapes: Shapes) -> dict[str, Any]:
    """Options of a head, by key of its network."""
    kinds = [kind for kind, conv in _OBJECTNESS.items() if _has(shapes, f"bbox_head.{conv}.")]
    result = {
        "tower_convs": len(_numbers(shapes, r"bbox_head\.cls_convs\.(\d+)\.")),
        "deformable_towers": bool(_numbers(shapes, r"bbox_head\.cls_convs\.(\d+)\.conv\.conv_offset\.")),
        "objectness": kinds[0] if kinds else "none",
        "iou_branch": _has(shapes, "bbox_head.atss_centerness."),
    }
    if "bbox_head.atss_cls.weight" in shapes:
        result["channels"] = shapes["bbox_head.atss_cls.weight"][1]
    return result


def _has(shapes: Shapes, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in shapes)


def _numbers(shapes: Shapes, pattern: str) -> tuple[int, ...]:
    """The different numbers that the names have at the pattern's group, rising."""
    return tuple(sorted({int(match[1]) for name in shapes if (match := re.match(pattern, name))}))


def _channels(shapes: Shapes, conv: str) -> tuple[int, int]:
    """(outputs, inputs of a group) of a convolution; zeros where there is none."""
    shape = shapes.get(f"{conv}.weight", ())
    return (shape[0], shape[1]) if len(shape) == 4 else (0, 0)
