"""List the options of a run: key, allowed values, default and meaning.

    python -m lad_jax options
    python -m lad_jax options train
    python -m lad_jax options model.backbone

With a PREFIX only options whose key begins with it are listed. Options are set in a config file, or on the command line
by `--config.KEY=VALUE`.
"""

import ast
import dataclasses
import difflib
import inspect
import itertools
import re
import textwrap
import types
import typing
from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args, get_origin

from lad_jax import fields
from lad_jax.errors import InputError
from lad_jax.options import RunOptions

WIDTH = 100
LEGEND = "* A resumed run may have another value."


@dataclasses.dataclass(frozen=True)
class Entry:
    """An option, or a group of options."""

    key: str
    kind: str
    """Type or allowed values of an option; for a group the value that chooses it, or nothing."""
    default: Any
    """Default of an option; for a group the dataclass's instance."""
    meaning: str
    may_change: bool = False
    """Whether a resumed run may have another value."""

    @property
    def is_group(self) -> bool:
        return dataclasses.is_dataclass(self.default)


def define_flags() -> None:
    """Define the flags of this command: none."""


def main(arguments: list[str]) -> None:
    """Run the command."""
    print(listing(*arguments[1:]))


def listing(prefix: str = "") -> str:
    """The options whose keys begin with `prefix`, for a terminal of 100 columns.

    Raises:
      InputError: there are no such options.
    """
    prefix = re.sub(r"\[\d+\]", "[i]", prefix.removeprefix("config."))
    entries = list(walk(RunOptions()))
    found = [entry for entry in entries if entry.key.startswith(prefix)]
    if not found:
        near = difflib.get_close_matches(prefix, dict.fromkeys(entry.key for entry in entries), n=3)
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        raise InputError(f"no option's key begins with {prefix!r}.{hint} `python -m lad_jax options` lists all.")
    shown = _without_repetitions(found)
    column = max([len(entry.key) for entry in shown if not entry.is_group], default=0) + 4
    return "\n".join([LEGEND, *(line for entry in shown for line in _lines(entry, column))])


def walk(options: Any, key: str = "", *, may_change: bool = False) -> Iterator[Entry]:
    """All options in a dataclass, then its groups, each before what is in it.

    A group of several kinds, such as the families of backbones, comes once for each; one of a list as `key[i]`.

    Args:
      options: dataclass with the defaults.
      key: prefix of all keys.
      may_change: whether a resumed run may have other values of all options.
    """
    hints, meanings = typing.get_type_hints(type(options)), meanings_of(type(options))
    groups: list[Entry] = []
    for field in dataclasses.fields(options):
        name = f"{key}.{field.name}" if key else field.name
        hint, value, meaning = hints[field.name], getattr(options, field.name), meanings[field.name]
        changes = may_change or fields.may_change(field)
        if found := _groups(name, hint, value, meaning):
            groups += [dataclasses.replace(group, may_change=changes) for group in found]
        else:
            yield Entry(name, type_text(hint), value, meaning, changes)
    for group in groups:
        yield group
        yield from walk(group.default, group.key, may_change=group.may_change)


def meanings_of(options: type) -> dict[str, str]:
    """Docstrings of the fields of a dataclass; empty where there is none."""
    [definition] = ast.parse(textwrap.dedent(inspect.getsource(options))).body
    assert isinstance(definition, ast.ClassDef)
    found = {field.name: "" for field in dataclasses.fields(options)}
    for statement, below in itertools.pairwise(definition.body):
        if isinstance(statement, ast.AnnAssign) and isinstance(below, ast.Expr):
            assert isinstance(statement.target, ast.Name) and isinstance(below.value, ast.Constant)
            found[statement.target.id] = " ".join(str(below.value.value).split())
    return found


def type_text(hint: Any) -> str:
    """A type as it is written in a config: `int`, `'sgd' | 'adamw'`, `(float, float)`, `(int | float, ...)`."""
    if get_origin(hint) is Literal:
        return " | ".join(map(repr, get_args(hint)))
    if isinstance(hint, types.UnionType):
        return " | ".join(map(type_text, get_args(hint)))
    if get_origin(hint) is tuple:
        return f"({', '.join('...' if entry is ... else type_text(entry) for entry in get_args(hint))})"
    return hint.__name__


def _groups(name: str, hint: Any, value: Any, meaning: str) -> list[Entry]:
    """Groups that a field can hold; none for a plain option."""
    if isinstance(hint, types.UnionType):
        members = [value if isinstance(value, member) else member() for member in get_args(hint)]
        return [Entry(name, f"family = {x.family!r}", x, inspect.getdoc(x) or "") for x in members]
    if get_origin(hint) is tuple and dataclasses.is_dataclass(get_args(hint)[0]):
        return [Entry(f"{name}[i]", "", get_args(hint)[0](), meaning)]
    if dataclasses.is_dataclass(value):
        return [Entry(name, "", value, meaning or inspect.getdoc(value) or "")]
    return []


def _without_repetitions(entries: Iterable[Entry]) -> list[Entry]:
    """The entries; a group that came before, with the same defaults, is one entry that names the other."""
    shown: list[Entry] = []
    before: dict[tuple[Any, bool], str] = {}
    skipped = None
    for entry in entries:
        if skipped and entry.key.startswith(skipped):
            continue
        if entry.is_group:
            other = before.setdefault((entry.default, entry.may_change), entry.key)
            if other != entry.key:
                skipped = f"{entry.key}."
                entry = dataclasses.replace(entry, meaning=f"{entry.meaning} Its keys are those of {other}.")
        shown.append(entry)
    return shown


def _lines(entry: Entry, column: int) -> list[str]:
    """An entry on the terminal: key, type and default; below them its meaning."""
    if entry.is_group:
        text = f"{entry.key}{f' ({entry.kind})' if entry.kind else ''}: {entry.meaning}"
        return ["", *textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_long_words=False)]
    first = f"{'*' if entry.may_change else ' '} {entry.key}".ljust(column)
    value = f"{entry.kind} = {entry.default!r}"
    return [
        *textwrap.wrap(value, WIDTH, initial_indent=first, subsequent_indent=" " * column),
        *textwrap.wrap(entry.meaning, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6),
    ]
