"""Options: frozen dataclasses, made from a ConfigDict at the edge of the program and nowhere else."""

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, get_args, get_origin

import ml_collections

from lad_jax.errors import InputError
from lad_jax.fields import is_path, is_source
from lad_jax.paths import local_path, source_path

T = TypeVar("T")


class FreeGroup(dict[str, Any]):
    """A group of keys that no dataclass of the package names. It has a hash, as all options: never change it."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


def from_config(options: type[T], config: Mapping[str, Any] | ml_collections.ConfigDict, *, key: str = "config") -> T:
    """Build a (nested) options dataclass from a ConfigDict, filling in the dataclass's defaults.

    Args:
      options: a frozen dataclass; its annotations say what is allowed (`Literal` lists the allowed values).
      config: the values; keys that are absent keep their default.
      key: dotted name of `config`, for messages.

    Raises:
      InputError: unknown key, wrong type, a value outside its list, or one that the dataclass's `__post_init__`
        refuses. The message names the dotted key and what is allowed.
    """
    hints = typing.get_type_hints(options)
    fields = {field.name: field for field in dataclasses.fields(options)}  # type: ignore[arg-type]
    for name in config:
        if name not in fields:
            raise unknown_key(key, str(name), list(fields))
    values = {name: _convert(hints[name], config[name], f"{key}.{name}") for name in config}
    for name, value in values.items():
        if is_path(fields[name]) and value:
            values[name] = local_path(value, f"{key}.{name}")
        if is_source(fields[name]) and value:
            values[name] = source_path(value, f"{key}.{name}")
    try:
        return options(**values)
    except ValueError as error:
        raise InputError(f"{key}: {error}") from None


def unknown_key(group: str, name: str, known: Sequence[str]) -> InputError:
    """The error for a key that a group does not have; `group` is dotted."""
    guess = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {guess[0]!r}?" if guess else ""
    return InputError(f"unknown config key {group}.{name}.{hint} Known keys: {', '.join(known) or 'none'}.")


_KEY = re.compile(r"[^.\[\]]+(\[\d+\])*(\.[^.\[\]]+(\[\d+\])*)*")


def check_key(config: ml_collections.ConfigDict, key: str, *, group: str = "config") -> None:
    """Check that a config has a key, which may be dotted and have numbers: `peers[0].path`.

    Raises:
      InputError: it has not, or that is no such key; `group`, the dotted name of `config`, is in the message.
    """
    if not _KEY.fullmatch(key):
        raise InputError(f"{group}.{key} is no key: names with dots between them, such as {group}.train.epochs.")
    value: Any = config
    for name, number in re.findall(r"([^.\[\]]+)|\[(\d+)\]", key):
        if number:
            if not isinstance(value, list | tuple) or int(number) >= len(value):
                size = f"has {len(value)} entries" if isinstance(value, list | tuple) else "is no list"
                raise InputError(f"{group} {size}: there is no {group}[{number}]. Set the whole in a config file.")
            value, group = value[int(number)], f"{group}[{number}]"
        elif not isinstance(value, Mapping | ml_collections.ConfigDict):
            raise InputError(f"{group} is no group of keys: there is no {group}.{name}.")
        elif name not in value:
            raise unknown_key(group, name, list(value))
        else:
            value, group = value[name], f"{group}.{name}"


def to_config(options: Any) -> ml_collections.ConfigDict:
    """The ConfigDict of an options dataclass: the defaults that config files start from."""
    return ml_collections.ConfigDict(dataclasses.asdict(options))


def _member(union: Any, value: Any, key: str) -> type:
    """The dataclass of a union that `value` is meant for, by its key `family`; the first where there is none."""
    members = {get_args(typing.get_type_hints(member)["family"])[0]: member for member in get_args(union)}
    family = value.get("family", next(iter(members))) if isinstance(value, Mapping | ml_collections.ConfigDict) else ""
    if family not in members:
        raise InputError(f"{key}.family is {family!r}; allowed: {', '.join(map(repr, members))}.")
    return members[family]


def _convert(hint: Any, value: Any, key: str) -> Any:
    """`value` as the annotated type `hint`, or an InputError that names `key`."""
    if isinstance(hint, types.UnionType):
        members = [member for member in get_args(hint) if member is not types.NoneType]
        if value is None and len(members) < len(get_args(hint)):
            return None
        if members == [int, float]:
            return _number(value, key)
        if len(members) > 1 and not all(map(dataclasses.is_dataclass, members)):
            raise InputError(f"{key} is {hint}: of unions there are `TYPE | None`, `int | float` and of dataclasses.")
        hint = members[0] if len(members) == 1 else _member(hint, value, key)
    if dataclasses.is_dataclass(hint) or hint is FreeGroup:
        if not isinstance(value, Mapping | ml_collections.ConfigDict):
            raise InputError(f"{key} must be a group of keys, got {value!r}.")
        if hint is FreeGroup:
            return _plain(value, key)
        return from_config(typing.cast(type, hint), value, key=key)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise InputError(f"{key} is {value!r}; allowed: {', '.join(repr(v) for v in get_args(hint))}.")
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise InputError(f"{key} must be a tuple, got {value!r}.")
        element, *rest = get_args(hint)
        if rest != [Ellipsis] and len(value) != len(rest) + 1:
            raise InputError(f"{key} must have {len(rest) + 1} entries, got {value!r}.")
        elements = [element] * len(value) if rest == [Ellipsis] else [element, *rest]
        return tuple(_convert(e, v, f"{key}[{i}]") for i, (e, v) in enumerate(zip(elements, value, strict=True)))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise InputError(f"{key} must be of type {hint.__name__}, got {value!r}.")
    return value


def _number(value: Any, key: str) -> int | float:
    """A number that stays what it is: an integer and a float of the same value mean different things."""
    if type(value) not in (int, float):
        raise InputError(f"{key} must be a number, got {value!r}.")
    return value


def _plain(value: Any, key: str) -> Any:
    """A value of a free group as JSON can hold and give back: numbers, texts, flags, None, tuples and groups."""
    if isinstance(value, Mapping | ml_collections.ConfigDict):
        return FreeGroup({str(name): _plain(inner, f"{key}.{name}") for name, inner in value.items()})
    if isinstance(value, list | tuple):
        return tuple(_plain(inner, f"{key}[{i}]") for i, inner in enumerate(value))
    if value is not None and not isinstance(value, bool | int | float | str):
        raise InputError(f"{key} must be a number, a text, a flag, a tuple or a group of keys, got {value!r}.")
    return value
