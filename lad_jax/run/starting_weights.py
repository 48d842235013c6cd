"""The weights that the training of a network starts from: a detector's, a backbone's, or random ones."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax

from lad_jax.config import from_config
from lad_jax.errors import InputError, first_few
from lad_jax.models import Detector
from lad_jax.options import RunOptions
from lad_jax.run import checkpoint
from lad_jax.run.sources import local_checkpoint
from lad_jax.train.optimizer import part_of
from lad_jax.train.state import Variables, init_variables
from lad_jax.weights import load_arrays, load_networks, with_backbone
from lad_jax.weights.classes import match_classes, with_classes
from lad_jax.weights.files import is_file_of_weights
from lad_jax.weights.pretrained import resolve
from lad_jax.weights.state_dicts import CLASSIFIER_WEIGHT, of_student

_log = logging.getLogger(__name__)
Origin = dict[str, str]
"""The `source` of weights with its `sha256` or `digest`; empty: they are random."""


class Source(NamedTuple):
    """A trained detector to start from."""

    name: str
    """Folder or file, for messages."""
    variables: Variables
    class_names: tuple[str, ...]
    """Names of its classes; empty: unknown."""
    origin: Origin


def starting_weights(model: Detector, class_names: Sequence[str], seed: int, key: str) -> tuple[Variables, Origin]:
    """Variables of a network before its training, and where they are from.

    Those of a detector, if `pretrained` of its options names one, else random ones, with the backbone's of
    `backbone.pretrained` if that names any.

    Args:
      model: the network.
      class_names: names of its classes.
      seed: of what is random.
      key: config key of the network's options, for messages.

    Raises:
      InputError: weights that are missing, damaged, not finite or of another architecture; or `keep_classes` without
        a detector, or without a class that both have.
    """
    options = model.options
    if options.pretrained:
        source = _read_source(model, key)
        fresh = init_variables(model, seed)
        return _adapted(source, fresh, class_names, options.keep_classes, key), source.origin
    if options.keep_classes:
        raise InputError(f"{key}.keep_classes is True, but {key}.pretrained names no detector to keep classes of.")
    fresh, name = init_variables(model, seed), options.backbone.pretrained
    if not name:
        return fresh, {}
    file = resolve(name, f"{key}.backbone.pretrained")
    return with_backbone(fresh, load_arrays(file.path), name), {"source": name, "sha256": file.sha256}


def check_starts_elsewhere(options: RunOptions, workdir: Path) -> None:
    """Check that no network of a run starts from the run's workdir, which is where the run would go on.

    Raises:
      InputError: one does.
    """
    for name in options.roles.trained:
        source = options.model_of(name).pretrained
        path = Path(source).expanduser().resolve()
        if source and workdir.resolve() in (path, path.parent.parent if path.parent.name == "checkpoints" else path):
            raise InputError(
                f"{options.key_of(name)}.pretrained is {source!r}, the workdir of this run itself: to train on from "
                "there give another workdir; to go on with that run leave it out."
            )


def check_frozen(options: RunOptions) -> None:
    """Check that whatever is frozen has weights to stay at: random ones would be kept to the end.

    Raises:
      InputError: a part of a network that is trained is frozen, or some stages of its backbone, and starts at random.
    """
    factors = options.optimizer.lr_factors
    settings = [(part, f"config.optimizer.lr_factors.{part}", 0.0, 1.0) for part in sorted(factors.frozen)]
    for name in options.roles.trained:
        model, key = options.model_of(name), options.key_of(name)
        if model.pretrained or (name in options.others and options.others[name].path):
            continue
        stages = getattr(model.backbone, "frozen_stages", -1)
        ours = [*settings, *([("backbone", f"{key}.backbone.frozen_stages", stages, -1)] if stages >= 0 else [])]
        for part, setting, value, trained in ours:
            if part != "backbone" or not model.backbone.pretrained:
                sources = f"{key}.pretrained" + (f" or {key}.backbone.pretrained" if part == "backbone" else "")
                raise InputError(
                    f"{setting} is {value:g}, but the {part} of {key} starts at random, and would stay so: name "
                    f"weights by {sources}, or train it: {setting}={trained:g}."
                )


def _read_source(model: Detector, key: str) -> Source:
    """The detector that a network starts from; `key` is that of its options."""
    name = model.options.pretrained
    if is_file_of_weights(name):
        return _read_file(model, key)
    folder = local_checkpoint(name, f"{key}.pretrained")
    meta = checkpoint.read_meta(folder)
    saved = from_config(RunOptions, meta.config)
    network = saved.evaluation.network
    scale, ours = saved.model_of(network).anchor_scale, model.options.anchor_scale
    if scale != ours:
        # The weights fit. Other data have objects of other sizes, so this is what one wants; but it costs training.
        message = "%s.anchor_scale: %s in %s, here %s: sizes of boxes are to be learnt again"
        _log.warning(message, key, scale, name, ours)
    variables = checkpoint.read_fitting(folder, network, replace(model.options, anchor_scale=scale), key)
    origin = {"source": name, "digest": checkpoint.digest(variables)}
    return Source(str(folder), variables, meta.class_names, origin)


def _read_file(model: Detector, key: str) -> Source:
    """The detector of a state dict, whose file does not name its classes."""
    name = model.options.pretrained
    file = resolve(name, f"{key}.pretrained")
    arrays = of_student(load_arrays(file.path))
    if CLASSIFIER_WEIGHT not in arrays:
        raise InputError(
            f"{name} holds no detector to start from: it has no {CLASSIFIER_WEIGHT}, but {first_few(list(arrays))}. "
            "Detectors of mmdet (PAA, LAD, ATSS) and of the paper's authors have it. Of another detector nothing can "
            f"be taken; weights of a backbone alone go to {key}.backbone.pretrained."
        )
    theirs = Detector(model.options, len(arrays[CLASSIFIER_WEIGHT]))
    template = jax.eval_shape(partial(init_variables, theirs, 0))
    variables = load_networks(arrays, {"student": template}, ["student"], name, lambda _: key)["student"]
    return Source(name, variables, (), {"source": name, "sha256": file.sha256})


def _adapted(source: Source, fresh: Variables, class_names: Sequence[str], keep: bool, key: str) -> Variables:
    """Variables of a detector for other classes, of which the log says what is taken; see `starting_weights`."""
    numbers = match_classes(class_names, source.class_names, some=keep)
    if keep and max(numbers) < 0:
        raise InputError(_no_class_to_keep(source, class_names, key))
    result = with_classes(source.variables, fresh, numbers)
    sizes = Counter[str]()
    for path, leaf in jax.tree.leaves_with_path({"": result["params"]}):
        sizes[part_of(path)] += leaf.size
    a_class = sizes.pop("classifier") // len(class_names)
    kept = [name for name, number in zip(class_names, numbers, strict=True) if number >= 0]
    anew = [name for name, number in zip(class_names, numbers, strict=True) if number < 0]
    taken = [f"{part} ({size} parameters)" for part, size in sizes.items()]
    taken += [f"classifier of {_listed(kept)} ({a_class * len(kept)} parameters)"] if kept else []
    _log.info("%s: taken from %s: %s", key, source.name, ", ".join(taken))
    if anew:
        _log.info("%s: anew: classifier of %s (%d parameters)", key, _listed(anew), a_class * len(anew))
    if not keep and (shared := [name for name in anew if name in source.class_names]):
        _log.info("%s: that has %s too: %s.keep_classes=True would keep their weights", key, first_few(shared), key)
    return result


def _no_class_to_keep(source: Source, class_names: Sequence[str], key: str) -> str:
    if not source.class_names:
        return (
            f"{key}.keep_classes is True, but a file of weights does not name its classes: make a checkpoint of "
            f"{source.name} by `python -m lad_jax convert`, with --classes, and set {key}.pretrained to it."
        )
    return (
        f"{key}.keep_classes is True, but none of the data's {len(class_names)} classes ({first_few(class_names)}) is "
        f"one of the {len(source.class_names)} of {source.name} ({first_few(source.class_names)}): give classes the "
        f"same names, or leave {key}.keep_classes out."
    )


def _listed(names: Sequence[str]) -> str:
    return f"{len(names)} class{'es' if len(names) > 1 else ''}: {first_few(names)}"
