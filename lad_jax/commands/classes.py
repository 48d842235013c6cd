"""Classes of converted weights: a checkpoint's meta needs their names and ids."""

from pathlib import Path

from lad_jax.data.categories import COCO
from lad_jax.data.class_names import read_class_names
from lad_jax.paths import local_path


def read_classes(source: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names and category ids, in the order of the classifier.

    Args:
      source: `coco`, or a file of names (see `read_class_names`); these get the ids 1, 2, 3, ...

    Raises:
      InputError: no such file, one without names, or a name that is there twice.
    """
    if source == "coco":
        return tuple(COCO), tuple(COCO.values())
    names = read_class_names(Path(local_path(source, "--classes")))
    return names, tuple(range(1, len(names) + 1))
