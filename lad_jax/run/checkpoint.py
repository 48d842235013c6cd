"""Checkpoints, by orbax: `WORKDIR/checkpoints/STEP`, the two newest and the one with the best AP.

The items of a checkpoint, each readable with plain orbax:

    variables   {network: {"params": ..., "batch_stats": ...}} of every network that learns
    ema         {network: params}, the moving average; only where there is one
    optimizer   the state of the optax transformation; not where the weights were converted
    meta        JSON: `config`, `class_names`, `category_ids`, a fingerprint of the training `data`, of a frozen
                `teacher` its `path` and `digest`, and by network the `source` and `sha256` of `pretrained` weights
    metrics     JSON: `AP` of `config.evaluation.network`; only where the checkpoint was evaluated
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from flax.traverse_util import flatten_dict

from lad_jax.config import from_config
from lad_jax.errors import InputError, reason_of, some
from lad_jax.models import Detector
from lad_jax.options import RunOptions
from lad_jax.train.state import TrainState, Variables
from lad_jax.types import Network
from lad_jax.weights import not_finite

MAY_CHANGE = (
    *("teacher.path", "teacher.config", "peers.path", "peers.config"),
    *(
        f"{model}.{key}"
        for model in ("model", "teacher.model", "peers.model")
        for key in ("backbone.pretrained", "backbone.remat", "remat_towers")
    ),
    *("train.accumulate", "train.on_non_finite", "train.max_skipped", "train.watchdog_s", "train.deterministic"),
    *("mesh", "hosts", "debug"),
    *("data.workers", "train.log_every", "train.eval_every", "train.checkpoint_every"),
    *("data.train", "data.val", "data.test", "data.tfds.directory", "evaluation"),
    *("data.on_bad_picture", "data.max_bad_pictures", "data.retries", "data.retry_s"),
    *("optimizer.learning_rate", "optimizer.clip_norm"),
)
"""Config keys that a run may be resumed with other values of: where things lie, what is shown and when, how much memory
a step takes, and what rescues a run whose loss was not finite."""
NOT_ARCHITECTURE = (
    *("backbone.pretrained", "backbone.frozen_stages", "backbone.drop_path", "backbone.remat"),
    *("remat_towers", "dtype", "mask_padding"),
)
"""Keys of the model that may differ between a checkpoint and who loads it."""


@dataclasses.dataclass(frozen=True)
class Meta:
    """What a checkpoint says about itself."""

    config: dict[str, Any]
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    data: str
    """Fingerprint of the training set's annotations."""
    teacher: dict[str, str]
    """`path` and `digest` of a frozen teacher, else empty."""
    pretrained: dict[Network, dict[str, str]] = dataclasses.field(default_factory=dict)
    """`source` and `sha256` of the weights that a network's backbone started from; older checkpoints do not tell."""

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "Meta":
        names, ids = tuple(values["class_names"]), tuple(values["category_ids"])
        pretrained = dict(values.get("pretrained", {}))
        config = dict(values["config"])
        if "train" in config:  # `devices` is what `mesh` was called; it says nothing about the networks
            config["train"] = {key: value for key, value in config["train"].items() if key != "devices"}
        return Meta(config, names, ids, values["data"], dict(values["teacher"]), pretrained)


class DamagedError(InputError):
    """A checkpoint that cannot be read."""


def restore(folder: Path, template: TrainState) -> TrainState:
    """The state in a run's checkpoint `folder`, laid out on the devices like `template`.

    Raises:
      DamagedError: the checkpoint cannot be read.
    """
    abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, template)
    items = {"variables": abstract.variables, "optimizer": abstract.optimizer}
    if template.ema:
        items["ema"] = abstract.ema
    restored = _read(folder, {name: ocp.args.StandardRestore(item) for name, item in items.items()})
    step = np.int32(int(folder.name))
    placed = jax.make_array_from_callback((), template.step.sharding, lambda _: step)
    return TrainState(placed, restored["variables"], restored["optimizer"], restored.get("ema") or {})


def find(path: str | Path) -> Path:
    """The folder of a checkpoint: `path` itself, or the best (else the newest) one of the workdir `path`.

    Raises:
      InputError: there is no checkpoint there.
    """
    path = Path(path)
    if (path / "variables").is_dir():
        return path
    if (path / "checkpoints").is_dir():
        folders = [
            path / "checkpoints" / str(step) for step in sorted(ocp.utils.checkpoint_steps(path / "checkpoints"))
        ]
        evaluated = [folder for folder in folders if (folder / "metrics" / "metrics").is_file()]
        if evaluated:
            return max(reversed(evaluated), key=_ap)  # the later of equals is the one that orbax keeps
        if folders:
            return folders[-1]
    raise InputError(
        f"no checkpoint in {path}: expected a workdir of a run that has saved one, or a checkpoint's folder."
    )


def _ap(folder: Path) -> float:
    """The AP that orbax's manager noted with a checkpoint."""
    try:
        return json.loads((folder / "metrics" / "metrics").read_text())["AP"]
    except (OSError, ValueError, KeyError) as error:
        raise _damaged(folder, error) from error


def read_meta(folder: Path) -> Meta:
    """What the checkpoint in `folder` says about itself.

    Raises:
      DamagedError: it cannot be read.
    """
    return Meta.from_json(_read(folder, {"meta": ocp.args.JsonRestore()})["meta"])


def read_variables(folder: Path, network: Network) -> Variables:
    """The variables of one network of a checkpoint, on the host; the moving average where there is one.

    Raises:
      InputError: the checkpoint cannot be read, has no such network, or one whose weights are not finite.
    """
    items = ["variables", *(["ema"] if (folder / "ema").is_dir() else [])]
    restored = _read(folder, {name: _on_host(folder, name) for name in items})
    if network not in restored["variables"]:
        known = ", ".join(restored["variables"])
        raise InputError(f"checkpoint {folder} has no network {network!r}, but {known}.")
    variables = restored["variables"][network]
    if "ema" in restored:
        variables = {**variables, "params": restored["ema"][network]}
    if broken := not_finite(flatten_dict(variables, sep=".")):
        raise InputError(
            f"the {network} in {folder} cannot be used: there are NaN or infinite values in {some(broken)}. Take "
            "another checkpoint."
        )
    return variables


def load_network(
    path: str | Path, network: Network, model: Detector, class_names: tuple[str, ...], key: str
) -> Variables:
    """The variables of a network that must fit `model` and the data's classes.

    Args:
      path: workdir or checkpoint.
      network: which of its networks.
      model: what it has to be.
      class_names: the classes of the data at hand.
      key: config key of the model's options, for messages.

    Raises:
      InputError: no checkpoint, other classes, another architecture (the message lists the keys), or weights that
        are not finite.
    """
    folder = find(path)
    meta = read_meta(folder)
    if meta.class_names != tuple(class_names):
        raise InputError(
            f"checkpoint {folder} knows {len(meta.class_names)} classes ({some(meta.class_names)}), "
            f"the data {len(class_names)} ({some(class_names)}): they must be the same, in the same order."
        )
    variables = read_variables(folder, network)
    theirs = from_config(RunOptions, meta.config).model_of(network)
    ours = dataclasses.asdict(model.options)
    changes = [c for c in _differences(dataclasses.asdict(theirs), ours) if c[0] not in NOT_ARCHITECTURE]
    if changes:
        lines = "\n  ".join(f"{key}.{name}: checkpoint {old!r}, config {new!r}" for name, old, new in changes)
        raise InputError(f"the network in {folder} is another than the config's; set these keys:\n  {lines}")
    return variables


def as_json(options: RunOptions) -> dict[str, Any]:
    """The options as plain JSON values; `from_config` reads them back."""
    return json.loads(json.dumps(dataclasses.asdict(options)))


def digest(variables: Variables) -> str:
    """SHA-256 over all leaves of a network: names, types, shapes and bytes."""
    result = hashlib.sha256()
    for path, leaf in sorted((jax.tree_util.keystr(p), v) for p, v in jax.tree_util.tree_leaves_with_path(variables)):
        array = np.ascontiguousarray(leaf)
        result.update(f"{path} {array.dtype} {array.shape}\n".encode())
        result.update(array.tobytes())
    return result.hexdigest()


def check_same_run(saved: Meta, now: Meta, workdir: Path) -> None:
    """Check that what is in `workdir` is the run that is about to go on: config, data and frozen teacher.

    Raises:
      InputError: it is another; says what differs.
    """
    # An older checkpoint lacks the keys that have been added since: it was trained by what is their default now.
    before = as_json(from_config(RunOptions, saved.config))
    changes = [(name, old, new) for name, old, new in _differences(before, now.config) if not _may_change(name)]
    if changes:
        lines = "\n  ".join(f"config.{name}: there {old!r}, now {new!r}" for name, old, new in changes)
        raise InputError(f"{workdir} holds a run with another config; take another workdir, or go back to:\n  {lines}")
    if (saved.class_names, saved.category_ids, saved.data) != (now.class_names, now.category_ids, now.data):
        raise InputError(
            f"the run in {workdir} was started on other training data (classes there {some(saved.class_names)}, now "
            f"{some(now.class_names)}; or other pictures or boxes): take another workdir, or the data it was started "
            f"with."
        )
    if saved.teacher and saved.teacher["digest"] != now.teacher["digest"]:
        raise InputError(
            f"the teacher at {now.teacher['path']} is not the one this run was started with (at "
            f"{saved.teacher['path']}): their weights differ. If it was moved, set config.teacher.path to where it is."
        )


def _on_host(folder: Path, item: str) -> ocp.args.StandardRestore:
    """How to restore an item as numpy arrays: without being told, orbax wants the devices it was saved from."""
    try:
        with ocp.StandardCheckpointer() as reader:
            tree = reader.metadata((folder / item).absolute()).item_metadata.tree
    except Exception as error:
        raise _damaged(folder, error) from error
    return ocp.args.StandardRestore(jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), tree))


def _read(folder: Path, items: Mapping[str, Any]) -> dict[str, Any]:
    """Items of a checkpoint, or an InputError that names its folder."""
    try:
        with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as reader:
            return dict(reader.restore(folder.absolute(), args=ocp.args.Composite(**items)).items())
    except Exception as error:  # orbax and tensorstore raise many kinds for a damaged file
        raise _damaged(folder, error) from error


def _damaged(folder: Path, error: Exception) -> DamagedError:
    return DamagedError(
        f"checkpoint {folder} cannot be read; it may be cut off. Restore it from a copy, or use an older one by its "
        f"folder. Reason: {reason_of(error)}"
    )


def _may_change(name: str) -> bool:
    """Whether a key, a peer's without its number, is one of `MAY_CHANGE` or below one."""
    plain = re.sub(r"\.\d+", "", name)
    return any(plain == key or plain.startswith(key + ".") for key in MAY_CHANGE)


def _differences(old: Any, new: Any, name: str = "") -> list[tuple[str, Any, Any]]:
    """Dotted names and both values wherever two nested dicts differ."""
    old, new = _comparable(old), _comparable(new)
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [d for key in keys for d in _differences(old.get(key), new.get(key), f"{name}.{key}" if name else key)]
    return [] if old == new else [(name, old, new)]


def _comparable(value: Any) -> Any:
    """Tuples as lists, as JSON has them; a list of groups as a group whose keys are numbers: `peers.0.path`."""
    if not isinstance(value, list | tuple):
        return value
    groups = bool(value) and all(isinstance(entry, dict) for entry in value)
    return {str(i): entry for i, entry in enumerate(value)} if groups else list(value)
