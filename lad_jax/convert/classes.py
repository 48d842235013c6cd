"""The classes that converted weights know: a checkpoint's meta needs their names and ids."""

from pathlib import Path

from lad_jax.data.categories import COCO
from lad_jax.errors import InputError, some


def read_classes(source: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names and category ids, in the order of the classifier.

    Args:
      source: `coco`, or a text file with a name a line; these get the ids 1, 2, 3, ...

    Raises:
      InputError: no such file, one without names, or a name that is there twice.
    """
    if source == "coco":
        return tuple(COCO), tuple(COCO.values())
    try:
        lines = Path(source).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--classes={source} is neither 'coco' nor a readable text file: {error}") from None
    names = tuple(line.strip() for line in lines if line.strip())
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        what = f"has names twice: {some(twice)}" if twice else "has no names"
        raise InputError(f"--classes={source} {what}. It must list each class once, a name a line.")
    return names, tuple(range(1, len(names) + 1))
