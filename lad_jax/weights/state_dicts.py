"""Conversion between state dicts of other programs and our variables (spec 1.7)."""

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from lad_jax.errors import InputError
from lad_jax.models.heads import CLASSIFIER
from lad_jax.types import Network
from lad_jax.weights import swin
from lad_jax.weights.advice import advise, advise_networks
from lad_jax.weights.names import (
    Path,
    from_torch_layout,
    is_offset,
    reference_name,
    renamed,
    to_torch_layout,
    torch_name,
    torch_shape,
)

_log = logging.getLogger(__name__)
Arrays = Mapping[str, np.ndarray]
_PART_OF_NETWORK = re.compile(r"(?:(?P<network>\w+)_)?(?P<name>(?:backbone|neck|bbox_head)\..+)")

CLASSIFIER_WEIGHT = reference_name(("bbox_head", CLASSIFIER, "kernel"))
"""Kernel of a student's classifier: an entry a class."""


def load_backbone(arrays: Arrays, variables: Mapping[str, Any], source: str) -> Any:
    """Backbone variables filled from a state dict of ImageNet weights.

    Weights of a backbone without deformable convolutions fill one with them too, whose offsets then are 0: the
    training of such a backbone begins so.

    Args:
      arrays: name to array; convolutions as OIHW. A ResNet has torchvision's names, a Swin those of its authors, of
        timm or of mmdet. A classifier and `num_batches_tracked` are ignored.
      variables: `params` and `batch_stats` of our backbone (or their shapes); they give names, shapes and dtypes. The
        norms of Swin's maps, which a classifier does not have, may be missing: they begin as ones and zeros.
      source: name of the file, for messages.

    Raises:
      InputError: lists every name that is missing, unexpected, of another shape or not finite.
    """
    wanted = _wanted_shapes(variables, torch_name)
    arrays = swin.from_original(arrays) if swin.is_original(arrays) else renamed(arrays)
    given = swin.output_norms(wanted) | {
        name: array
        for name, array in arrays.items()
        if not (name.startswith("fc.") or _is_constant(name) or _is_unused(name, wanted))
    }
    if not any(map(is_offset, given)):
        given |= {name: np.zeros(shape, np.float32) for name, shape in wanted.items() if is_offset(name)}
    result, problems = _fit(given, variables, torch_name)
    if problems:
        advice = advise(_of_backbone(_shapes(given)), _of_backbone(wanted), "config.model")
        if is_detector(arrays):
            advice = ["it is a detector, not a backbone alone: set config.model.pretrained to it instead"]
        raise InputError(_misfit(source, "the backbone of the config", advice, problems))
    return result


def with_backbone(variables: Mapping[str, Any], arrays: Arrays, source: str) -> dict[str, Any]:
    """Variables of a detector whose backbone's are those of a state dict; see `load_backbone`."""
    template = {collection: tree["backbone"] for collection, tree in variables.items()}
    loaded = load_backbone(arrays, template, source)
    return {collection: {**tree, "backbone": loaded[collection]} for collection, tree in variables.items()}


def load_networks(
    arrays: Arrays,
    templates: Mapping[Network, Mapping[str, Any]],
    needed: Collection[Network],
    source: str,
    key_of: Callable[[Network], str],
) -> dict[Network, Any]:
    """The variables of every network that a detector's state dict has the weights of.

    The student's names begin with `backbone.`, `neck.` and `bbox_head.`, those of any other network with its name
    before that, as in `teacher_backbone.`. What the references save and never compute with is ignored.

    Args:
      arrays: name to array; convolutions as OIHW.
      templates: variables of the config's networks, or their shapes; they give names, shapes and dtypes.
      needed: networks that must be in the state dict.
      source: name of the file, for messages.
      key_of: config key of a network's model, for messages.

    Raises:
      InputError: lists every name that is missing, unexpected, of another shape or not finite, and, where they show
        it, what to change in the config.
    """
    given, strange = _by_network(renamed(arrays))
    advice = advise_networks(given, templates, needed)
    problems = [f"unexpected: {name}" for name in strange]
    problems += [
        f"unexpected: {prefix_of(network)}{name}"
        for network, weights in given.items()
        if network not in templates
        for name in weights
    ]
    result = {}
    for network, template in templates.items():
        if network not in needed and network not in given:
            continue
        wanted = _wanted_shapes(template, reference_name)
        weights = {name: a for name, a in given.get(network, {}).items() if not _is_unused(name, wanted)}
        for name in given.get(network, {}).keys() - weights.keys():
            _log.warning("%s: left out %s%s, which this network has no use for", source, prefix_of(network), name)
        result[network], found = _fit(weights, template, reference_name, prefix_of(network))
        problems += found
        if found and weights:
            advice += advise(_shapes(weights), wanted, key_of(network))
    if problems:
        raise InputError(_misfit(source, "the config", advice, problems))
    return result


def is_detector(arrays: Arrays) -> bool:
    """Whether a state dict is a detector's, and not a bare backbone's."""
    return any(_PART_OF_NETWORK.fullmatch(name) for name in arrays)


def of_student(arrays: Arrays) -> Arrays:
    """A detector's state dict without the weights of further networks, as `teacher_backbone.conv1.weight`."""
    matches = {name: _PART_OF_NETWORK.fullmatch(name) for name in arrays}
    return {name: array for name, array in arrays.items() if not ((match := matches[name]) and match["network"])}


def to_mmdet(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """A state dict of one network by mmdet's names, sorted; mmdet's programs load a PAA head's strictly.

    Heads with objectness carry the names of the paper's authors, whose programs have them. Deformable towers carry
    those that mmdet has for such a convolution, though not in its PAA head.

    Raises:
      InputError: the backbone has group norms, which mmdet's ResNet has not; or the head has neither IoU branch nor
        objectness.
    """
    head = variables["params"]["bbox_head"]
    if not {"atss_centerness", "coeff_conv", "obj_bias"} & set(head):
        raise InputError(
            "a plain head without an IoU branch (config.model.iou_branch=False) cannot be written for mmdet, whose "
            "head has one."
        )
    is_resnet = "conv1" in variables["params"]["backbone"]
    if is_resnet and "backbone" not in variables.get("batch_stats", {}):
        raise InputError(
            "a network whose backbone has group norms (config.model.backbone.norm='group') cannot be written for "
            "mmdet, whose ResNet has batch norms by these names."
        )
    arrays = {
        reference_name(path[1:]): to_torch_layout(np.asarray(leaf), path).copy(order="C")
        for path, leaf in flatten_dict(dict(variables)).items()
    }
    counters = [name.replace("running_mean", "num_batches_tracked") for name in arrays if name.endswith("running_mean")]
    arrays |= {name: np.zeros((), np.int64) for name in counters} | swin.position_indices(arrays)
    return dict(sorted(arrays.items()))


def not_finite(arrays: Arrays) -> list[str]:
    """Names of the arrays that hold a NaN or an infinity."""
    return [name for name, array in arrays.items() if not np.isfinite(array).all()]


def prefix_of(network: str) -> str:
    """Prefix of the names of a network in a state dict of the paper's authors."""
    return "" if network == "student" else f"{network}_"


def _fit(
    given: Arrays, template: Mapping[str, Any], name_of: Callable[[Path], str], prefix: str = ""
) -> tuple[Any, list[str]]:
    """A template filled with given arrays, and all problems; `prefix` is for messages only."""
    wanted = flatten_dict(dict(template))
    names = {path: name_of(path[1:]) for path in wanted}
    problems = [f"missing: {prefix}{name}" for name in names.values() if name not in given]
    problems += [f"unexpected: {prefix}{name}" for name in given if name not in set(names.values())]
    result = {}
    for path, name in names.items():
        if name not in given:
            continue
        shape, expected = given[name].shape, torch_shape(wanted[path], path)
        if shape != expected:
            problems.append(f"shape of {prefix}{name}: {shape}, expected {expected}")
        result[path] = from_torch_layout(given[name], path).astype(wanted[path].dtype)
    used = {name: given[name] for name in names.values() if name in given}
    problems += [f"not finite: {prefix}{name}" for name in not_finite(used)]
    return unflatten_dict(result), problems


def _by_network(arrays: Arrays) -> tuple[dict[str, dict[str, np.ndarray]], list[str]]:
    """Weights of each network by their names in it, and the names that belong to none."""
    networks: defaultdict[str, dict[str, np.ndarray]] = defaultdict(dict)
    strange = []
    for name, array in arrays.items():
        # SoLAD of the paper's authors saves a second head that is in no computation.
        if _is_constant(name) or name.startswith("kd_bbox_head."):
            continue
        if match := _PART_OF_NETWORK.fullmatch(name):
            networks[match["network"] or "student"][match["name"]] = array
        else:
            strange.append(name)
    return dict(networks), strange


def _is_constant(name: str) -> bool:
    """Whether a weight is a constant: torch's count of a batch norm's batches, or the indices that a Swin saves."""
    return name.endswith(("num_batches_tracked", "relative_position_index"))


def _is_unused(name: str, wanted: Iterable[str]) -> bool:
    """Whether a network of the reference has this weight but computes nothing from it.

    Its heads with objectness but without an IoU branch keep the branch's convolution, and its conditional objectness
    the implicit one's. A plain head uses its IoU branch always. A Swin may have the norm of a map that is finer than
    the pyramid.
    """
    conditional, implicit = (f"bbox_head.{conv}.weight" in wanted for conv in ("coeff_conv", "obj_bias"))
    unused = ["bbox_head.atss_centerness."] if conditional or implicit else []
    unused += ["bbox_head.objectness."] if conditional else []
    return name not in wanted and (name.startswith(tuple(unused)) or swin.is_output_norm(name))


def _shapes(arrays: Arrays) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in arrays.items()}


def _wanted_shapes(template: Mapping[str, Any], name_of: Callable[[Path], str]) -> dict[str, tuple[int, ...]]:
    return {name_of(path[1:]): torch_shape(leaf, path) for path, leaf in flatten_dict(dict(template)).items()}


def _of_backbone(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Shapes of a bare backbone by the names of its weights in a detector."""
    return {f"backbone.{name}": shape for name, shape in shapes.items()}


def _misfit(source: str, what: str, advice: list[str], problems: list[str]) -> str:
    return f"{source} does not fit {what}:\n  " + "\n  ".join([*advice, *problems])
