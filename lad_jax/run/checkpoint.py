"""Reading checkpoints of orbax: `WORKDIR/checkpoints/STEP`, the two newest and the one with the best AP.

The items of a checkpoint, each readable with plain orbax:

    variables   {network: {"params": ..., "batch_stats": ...}} of every trained network
    ema         {network: params}, the moving average; only where there is one
    optimizer   the state of the optax transformation; not where the weights were converted
    meta        JSON: `config`, `class_names`, `category_ids`, a fingerprint of the training `data`, of a frozen
                `teacher` its `path` and `digest`, and by network the `source` of `pretrained` weights with the `sha256`
                of a file, or the `digest` of a network of a checkpoint
    metrics     JSON: `AP` of `config.evaluation.network`, null where there was no object; only where the checkpoint was
                evaluated
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from flax.traverse_util import flatten_dict

from lad_jax.config import from_config
from lad_jax.errors import InputError, first_few, reason_of
from lad_jax.fields import is_architecture
from lad_jax.models import Detector, ModelOptions
from lad_jax.options import RunOptions
from lad_jax.run.meta import Meta, differences
from lad_jax.train.state import TrainState, Variables
from lad_jax.types import Network
from lad_jax.weights import not_finite


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
    return template._replace(
        step=placed,
        variables=restored["variables"],
        optimizer=restored["optimizer"],
        ema=restored.get("ema") or {},
    )


def find(path: str | Path) -> Path:
    """The folder of a checkpoint: `path` itself, or the best (else the newest) one of the workdir `path`.

    Raises:
      InputError: there is no checkpoint there.
    """
    path = Path(path)
    if (path / "variables").is_dir():
        return path
    folders = all_of(path)
    aps = {folder: ap for folder in folders if (ap := _ap(folder)) is not None}
    # Of equals the later is the one that orbax keeps.
    return max(reversed(aps), key=aps.__getitem__) if aps else folders[-1]


def all_of(workdir: Path) -> list[Path]:
    """The folders of a workdir's checkpoints, the newest last.

    Raises:
      InputError: there is none.
    """
    folder = workdir / "checkpoints"
    steps = sorted(ocp.utils.checkpoint_steps(folder)) if folder.is_dir() else []
    if not steps:
        raise InputError(
            f"no checkpoint in {workdir}: expected a workdir of a run that has saved one, or a checkpoint's folder."
        )
    return [folder / str(step) for step in steps]


def newest(workdir: Path) -> Path:
    """The folder of a workdir's last checkpoint."""
    return max((workdir / "checkpoints").glob("[0-9]*"), key=lambda folder: int(folder.name))


def _ap(folder: Path) -> float | None:
    """AP that was noted with a checkpoint; None where it was not evaluated, or there was no object."""
    noted = folder / "metrics" / "metrics"
    if not noted.is_file():
        return None
    try:
        return json.loads(noted.read_text())["AP"]
    except (OSError, ValueError, KeyError) as error:
        raise _damaged(folder, error) from error


def read_meta(folder: Path) -> Meta:
    """Meta of the checkpoint in `folder`.

    Raises:
      DamagedError: the checkpoint cannot be read.
      InputError: the checkpoint was written by another version.
    """
    return Meta.from_json(_read(folder, {"meta": ocp.args.JsonRestore()})["meta"], folder)


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
            f"the {network} in {folder} cannot be used: there are NaN or infinite values in {first_few(broken)}. Take "
            "another checkpoint."
        )
    return variables


def load_network(
    path: str | Path, network: Network, model: Detector, class_names: tuple[str, ...], key: str
) -> Variables:
    """The variables of a network that must fit `model` and the data's classes.

    Args:
      path: workdir or folder of a checkpoint.
      network: name of the network in the checkpoint.
      model: architecture that the network must have.
      class_names: the classes of the data at hand.
      key: config key of the model's options, for messages.

    Raises:
      InputError: no checkpoint, other classes, another architecture (the message lists the keys), or weights that
        are not finite.
    """
    folder = find(path)
    meta = read_meta(folder)
    _check_classes(folder, meta, class_names)
    return read_fitting(folder, network, model.options, key)


def read_fitting(folder: Path, network: Network, options: ModelOptions, key: str) -> Variables:
    """The variables of a network that must have the architecture of `options`, with any classes.

    Args:
      folder: that of a checkpoint.
      network: name of the network in it.
      options: architecture that the network must have.
      key: config key of these options, for messages.

    Raises:
      InputError: another architecture (the message lists the keys), or what `read_variables` raises.
    """
    variables = read_variables(folder, network)
    theirs = from_config(RunOptions, read_meta(folder).config).model_of(network)
    if changes := list(differences(theirs, options, is_architecture)):
        lines = "\n  ".join(f"{key}.{name}: checkpoint {old!r}, config {new!r}" for name, old, new in changes)
        raise InputError(f"the network in {folder} is another than the config's; set these keys:\n  {lines}")
    return variables


def _check_classes(folder: Path, meta: Meta, class_names: tuple[str, ...]) -> None:
    """Check that the data have the checkpoint's classes, by the same labels: outputs of a network bear no names."""
    known = meta.class_names
    if set(known) != set(class_names):
        raise InputError(
            f"checkpoint {folder} knows {len(known)} classes ({first_few(known)}), the data {len(class_names)} "
            f"({first_few(class_names)}): they must be the same. Not in both: "
            f"{first_few(sorted(set(known) ^ set(class_names)))}."
        )
    for label, (theirs, ours) in enumerate(zip(known, class_names, strict=True)):
        if theirs != ours:
            raise InputError(
                f"checkpoint {folder} has the data's classes in another order: class {label} is {theirs!r} there and "
                f"{ours!r} in the data, whose classes are in the order of their ids. Give the categories of all "
                f"annotation files the checkpoint's ids: {', '.join(map('{!r} {}'.format, known, meta.category_ids))}."
            )


def digest(variables: Variables) -> str:
    """SHA-256 over all leaves of a network: names, types, shapes and bytes."""
    result = hashlib.sha256()
    for path, leaf in sorted((jax.tree_util.keystr(p), v) for p, v in jax.tree_util.tree_leaves_with_path(variables)):
        array = np.ascontiguousarray(leaf)
        result.update(f"{path} {array.dtype} {array.shape}\n".encode())
        result.update(array.tobytes())
    return result.hexdigest()


def _on_host(folder: Path, item: str) -> ocp.args.StandardRestore:
    """Arguments to restore an item as numpy arrays: by default orbax wants the devices it was saved from."""
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
