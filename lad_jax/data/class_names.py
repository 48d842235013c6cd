"""Files of class names, as data sets come with them."""

import json
import re
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import yaml

from lad_jax.data.text import read_text
from lad_jax.errors import InputError, first_few

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""Control characters, which a terminal obeys instead of showing them: no name may have one."""


def read_class_names(path: Path) -> tuple[str, ...]:
    """Class names in the order of their numbers.

    Args:
      path: `.yaml` with a list or dict `names`, `.json` in COCO format, else text with a name a line.

    Raises:
      InputError: the file cannot be read, or does not list each class once.
    """
    if not path.is_file():
        raise InputError(f"cannot read class names from {path}: there is no such file. {_KINDS}")
    text = read_text(path)
    try:
        names = _READERS.get(path.suffix.lower(), _from_text)(text)
    except (yaml.YAMLError, json.JSONDecodeError) as error:
        raise InputError(f"cannot read class names from {path}: {error}. {_KINDS}") from None
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path} has no class names: {_FORMS.get(path.suffix.lower(), 'a name a line')}.") from None
    names = [name.strip() for name in names]
    strange = [repr(name) for name in names if CONTROL.search(name)]
    if strange:
        raise InputError(
            f"list of classes {path} has names with control characters: {first_few(strange)}. Rename them."
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not all(names) or not names:
        what = f"has names twice: {first_few(twice)}" if twice else "has an empty name" if names else "has no names"
        raise InputError(f"list of classes {path} {what}. It must name each class once.")
    return tuple(names)


def _from_text(text: str) -> list[str]:
    return text.rstrip().splitlines()


class _Loader(yaml.BaseLoader):
    """A loader that refuses a key that is given twice, of which YAML's takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value]
        if twice := sorted({str(key) for key in keys if keys.count(key) > 1}):
            raise yaml.constructor.ConstructorError(None, None, f"{first_few(twice)} twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _from_yaml(text: str) -> list[str]:
    """Names in YAML; all scalars are read as text: a class may be called `no` or `1`."""
    names = yaml.load(text, Loader=_Loader)["names"]
    if isinstance(names, dict):
        numbers = sorted(map(int, names))
        if numbers != list(range(len(names))):
            raise ValueError(numbers)
        names = [name for _, name in sorted(names.items(), key=lambda item: int(item[0]))]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError(names)
    return names


def _from_json(text: str) -> list[str]:
    names = [category["name"] for category in sorted(json.loads(text)["categories"], key=lambda c: c["id"])]
    if not all(isinstance(name, str) for name in names):
        raise TypeError(names)
    return names


_READERS: dict[str, Callable[[str], list[str]]] = {".yaml": _from_yaml, ".yml": _from_yaml, ".json": _from_json}
_KINDS = "It must be a file: a name a line, `.yaml` with a list `names`, or `.json` in COCO format."
_YAML_FORM = "`names` must be a list of names, or number them from 0 without gaps"
_FORMS = {".yaml": _YAML_FORM, ".yml": _YAML_FORM, ".json": "`categories` must be a list of `id` and `name`"}
