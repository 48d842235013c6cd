"""Lines about likely mistakes in both sets, which the check prints and a run logs."""

from types import SimpleNamespace

import numpy as np
import pytest

from lad_jax.data.records import Record, doubt_lines

NAMES = ("ant", "bee", "cow")


def dataset(*pictures, names=NAMES):
    """A set of pictures, each given as the labels of its objects; negative ones, -1 for 0, are crowd regions."""
    records = []
    for number, labels in enumerate(pictures):
        crowd = np.array([label < 0 for label in labels], bool)
        boxes = np.zeros((len(labels), 4), np.float32)
        labels = np.array([-1 - label if label < 0 else label for label in labels], np.int32)
        records.append(Record(number, "a.png", 64, 64, boxes, labels, crowd))
    unused = dict.fromkeys(("read", "orientation", "ground_truth"), lambda *_: pytest.fail("not needed"))
    ids = tuple(range(len(names)))
    return SimpleNamespace(class_names=names, category_ids=ids, doubts=(), records=tuple(records), **unused)


NO_AP = "no object at all, so there is no AP: the newest checkpoint is kept, and none as the best"
MANY = tuple("abcdefgh")


@pytest.mark.parametrize(
    ("train", "val", "expected"),
    [
        (dataset([0, 1], [2]), dataset([], [2, 1, 0]), []),
        (dataset([0, 1, 2]), dataset([0], [2, 2]), ["val: no object of these classes: 'bee'. They have no AP"]),
        (dataset([0, 1, 2]), dataset([0, 1, -3]), ["val: no object of these classes: 'cow'."]),  # a crowd is none
        (dataset([0], [0]), dataset([0, 1, 2]), ["train: no object of these classes: 'bee', 'cow'. They will not"]),
        (
            dataset([0, 1]),
            dataset([2]),
            ["train: no object of these classes: 'cow'", "val: no object of these classes"],
        ),
        (dataset([0, 1, 2]), dataset([], []), [f"val: {NO_AP}"]),
        (dataset([0, 1, 2]), dataset([-1, -2]), [f"val: {NO_AP}"]),
        (
            dataset(range(8), names=MANY),
            dataset([0], names=MANY),
            ["val: no object of these classes: 'b', 'c', 'd', 'e', 'f', … (7 in all)"],
        ),
    ],
)
def test_classes_without_objects(train, val, expected):
    for line, beginning in zip(doubt_lines(train, val, 100), expected, strict=True):
        assert line.startswith(f"! {beginning}")
