"""Opening a data set by the name of its source."""

from collections.abc import Callable
from typing import Literal

from lad_jax.data.coco import CocoFolder
from lad_jax.data.options import DataOptions
from lad_jax.data.records import DataSet
from lad_jax.data.synthetic import SyntheticShapes
from lad_jax.errors import InputError

Split = Literal["train", "val"]


def _open_coco(options: DataOptions, split: Split) -> DataSet:
    folder = {"train": options.train, "val": options.val}[split]
    return CocoFolder(folder.images, folder.annotations, strict=options.strict, key=f"config.data.{split}")


def _open_synthetic(options: DataOptions, split: Split) -> DataSet:
    return SyntheticShapes(options.synthetic, split)


SOURCES: dict[str, Callable[[DataOptions, Split], DataSet]] = {"coco": _open_coco, "synthetic": _open_synthetic}
"""Adding a source is one file and one row here."""


def open_dataset(options: DataOptions, split: Split) -> DataSet:
    """The training or validation set.

    Raises:
      InputError: see the source.
    """
    return SOURCES[options.source](options, split)


def open_datasets(options: DataOptions) -> tuple[DataSet, DataSet]:
    """Training and validation set, of the same classes.

    Raises:
      InputError: see the source; or the two sets disagree about the classes.
    """
    train, val = open_dataset(options, "train"), open_dataset(options, "val")
    ours, theirs = (dict(zip(s.category_ids, s.class_names, strict=True)) for s in (train, val))
    if ours != theirs:
        differing = sorted(dict(ours.items() ^ theirs.items()))
        raise InputError(
            f"config.data.train.annotations and config.data.val.annotations disagree about the categories with ids "
            f"{differing}: both files must list the same ids and names."
        )
    return train, val
