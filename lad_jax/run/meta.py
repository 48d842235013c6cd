"""The meta of a checkpoint, and the check that a run may go on from it."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lad_jax.config import from_config
from lad_jax.errors import InputError, first_few
from lad_jax.fields import may_change
from lad_jax.options import RunOptions
from lad_jax.types import Network

Difference = tuple[str, Any, Any]
"""A dotted key, and its two values."""


@dataclasses.dataclass(frozen=True)
class Meta:
    """Facts about a checkpoint that are saved in it."""

    config: dict[str, Any]
    """All options, as `as_json` gives them."""
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    data: str
    """Fingerprint of the training set's annotations."""
    teacher: dict[str, str]
    """The `path` and `digest` of a frozen teacher, else empty."""
    pretrained: dict[Network, dict[str, str]] = dataclasses.field(default_factory=dict)
    """The `source` of the weights that a network or its backbone started from, with the `sha256` of a file, or the
    `digest` of a network of a checkpoint."""

    @staticmethod
    def from_json(values: Mapping[str, Any], folder: Path) -> "Meta":
        """The meta of the checkpoint in `folder`.

        Raises:
          InputError: the checkpoint was written by a version with other keys or other options.
        """
        names = [field.name for field in dataclasses.fields(Meta)]
        if set(values) != set(names):
            raise _other_version(folder, f"its meta has the keys {', '.join(values)}, not {', '.join(names)}")
        lists = {name: tuple(values[name]) for name in ("class_names", "category_ids")}
        meta = Meta(**{**values, **lists})
        try:
            known = from_config(RunOptions, meta.config)
        except InputError as error:
            raise _other_version(folder, str(error)) from error
        if missing := sorted(_lacking(known, meta.config)):
            raise _other_version(folder, f"its config lacks {first_few(missing)}")
        return meta


def as_json(options: RunOptions) -> dict[str, Any]:
    """The options as plain JSON values; `from_config` reads them back."""
    return json.loads(json.dumps(dataclasses.asdict(options)))


def check_same_run(saved: Meta, now: Meta, workdir: Path) -> None:
    """Check that the run in `workdir` is the one that is about to go on: config, data and frozen teacher.

    Raises:
      InputError: it is another run; names what differs.
    """
    before, after = (from_config(RunOptions, meta.config) for meta in (saved, now))
    if changes := list(differences(before, after, lambda field: not may_change(field))):
        lines = "\n  ".join(f"config.{name}: there {old!r}, now {new!r}" for name, old, new in changes)
        longer = f" (to train on from its weights: --config.model.pretrained={workdir})"
        raise InputError(
            f"{workdir} holds a run with another config; take another workdir{longer}, or go back to:\n  {lines}"
        )
    if (saved.class_names, saved.category_ids, saved.data) != (now.class_names, now.category_ids, now.data):
        raise InputError(
            f"the run in {workdir} was started on other training data (classes there {first_few(saved.class_names)}, "
            f"now {first_few(now.class_names)}; or other pictures or boxes): take another workdir, or the data it was "
            "started with."
        )
    if saved.teacher and saved.teacher["digest"] != now.teacher["digest"]:
        raise InputError(
            f"the teacher at {now.teacher['path']} is not the one this run was started with (at "
            f"{saved.teacher['path']}): their weights differ. If it was moved, set config.teacher.path to where it is."
        )


def differences(
    old: Any, new: Any, compared: Callable[[dataclasses.Field[Any]], bool], name: str = ""
) -> Iterator[Difference]:
    """Keys in which two options differ, with both values.

    Args:
      old, new: options. Of two kinds of a group, such as backbones of two families, the keys of the old one count.
      compared: predicate of the fields that are compared; a group that is not is skipped whole.
      name: key of both options: the prefix of all keys.
    """
    if isinstance(old, tuple) and isinstance(new, tuple) and any(map(dataclasses.is_dataclass, (*old, *new))):
        if len(old) != len(new):
            yield f"{name} (how many)", len(old), len(new)
        for i, (before, after) in enumerate(zip(old, new, strict=False)):
            yield from differences(before, after, compared, f"{name}[{i}]")
    elif dataclasses.is_dataclass(old):
        for field in filter(compared, dataclasses.fields(old)):
            key = f"{name}.{field.name}" if name else field.name
            yield from differences(getattr(old, field.name), getattr(new, field.name, None), compared, key)
    elif old != new:
        yield name, old, new


def _lacking(options: Any, config: Any, name: str = "") -> Iterator[str]:
    """Dotted keys of options that a config lacks, but for those that a resumed run may change.

    Args:
      options: the options, or a list of them.
      config: what was saved of them, as JSON.
      name: key of both.
    """
    if dataclasses.is_dataclass(options):
        for field in dataclasses.fields(options):
            key = f"{name}.{field.name}" if name else field.name
            if may_change(field):
                continue
            if field.name in config:
                yield from _lacking(getattr(options, field.name), config[field.name], key)
            else:
                yield key
    elif isinstance(options, tuple) and isinstance(config, list):
        for i, (entry, saved) in enumerate(zip(options, config, strict=True)):
            yield from _lacking(entry, saved, f"{name}[{i}]")


def _other_version(folder: Path, reason: str) -> InputError:
    return InputError(
        f"checkpoint {folder} was written by another version of lad_jax, which had other options: use that version, or "
        f"train again in another workdir. Reason: {reason}"
    )
