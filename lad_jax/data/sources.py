"""Data sets by the name of their source."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from lad_jax.data.annotations import load_annotations
from lad_jax.data.coco import CocoFolder
from lad_jax.data.options import DataOptions
from lad_jax.data.records import DataSet
from lad_jax.data.synthetic import SyntheticShapes
from lad_jax.data.tfds import TfdsCoco
from lad_jax.errors import InputError

Split = Literal["train", "val"]
TFDS_SPLITS = {"train": "train", "val": "validation", "test": "test"}
"""TFDS's names of the splits."""


def _open_coco(options: DataOptions, split: Split) -> DataSet:
    folder = {"train": options.train, "val": options.val}[split]
    return CocoFolder(folder.images, folder.annotations, strict=options.strict, key=f"config.data.{split}")


def _open_synthetic(options: DataOptions, split: Split) -> DataSet:
    return SyntheticShapes(options.synthetic, split)


def _open_tfds(options: DataOptions, split: Split) -> DataSet:
    return TfdsCoco(options.tfds.directory, TFDS_SPLITS[split], strict=options.strict)


SOURCES: dict[str, Callable[[DataOptions, Split], DataSet]] = {
    "coco": _open_coco,
    "synthetic": _open_synthetic,
    "tfds": _open_tfds,
}
"""Functions that open a source's data set, by the source's name. To add one: a file, and a row here."""


def _open_coco_test(options: DataOptions) -> DataSet:
    return CocoFolder(options.test.images, options.test.annotations, annotated=False, key="config.data.test")


def _open_tfds_test(options: DataOptions) -> DataSet:
    key = "config.data.test.annotations"
    if not options.test.annotations:
        raise InputError(
            f"{key} is empty: give the path of image_info_test-dev2017.json. TFDS's test pictures are twice as many "
            f"as test-dev's, and the server takes the results of exactly these."
        )
    listed = load_annotations(Path(options.test.annotations), key, annotated=False)
    ids = [image["id"] for image in listed["images"]]
    return TfdsCoco(options.tfds.directory, TFDS_SPLITS["test"], image_ids=ids)


TEST_SOURCES: dict[str, Callable[[DataOptions], DataSet]] = {"coco": _open_coco_test, "tfds": _open_tfds_test}
"""Functions that open a source's pictures for a server to evaluate, for sources that have some."""


def open_dataset(options: DataOptions, split: Split) -> DataSet:
    """The training or validation set.

    Raises:
      InputError: see the source.
    """
    return SOURCES[options.source](options, split)


def open_test(options: DataOptions) -> DataSet:
    """The pictures whose annotations only a server has.

    Raises:
      InputError: see the source; or it has no such pictures.
    """
    if options.source not in TEST_SOURCES:
        raise InputError(
            f"config.data.source is {options.source!r}, which has no test-dev; sources with it: "
            f"{', '.join(map(repr, TEST_SOURCES))}."
        )
    return TEST_SOURCES[options.source](options)


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
