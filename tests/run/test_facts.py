"""Each thing that several processes must have alike is compared, in training and in evaluation."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

from lad_jax.data import open_dataset
from lad_jax.run import evaluate, prepare
from tests.run.tiny import tiny

OPTIONS = tiny()
WEIGHTS = {"student": {"params": {"a": np.zeros(3)}}}
OTHER_WEIGHTS = {"student": {"params": {"a": np.ones(3)}}}


def val_set(**changes: Any) -> Any:
    dataset = open_dataset(OPTIONS.data, "val")
    same = {name: getattr(dataset, name) for name in ("records", "category_ids", "class_names")}
    return SimpleNamespace(**same | changes)


def fewer() -> Any:
    return val_set(records=val_set().records[1:])


def meta(**changes: Any) -> Any:
    values = {"config": {}, "class_names": ("a",), "category_ids": (1,), "data": "0", "teacher": {"digest": "t"}}
    return SimpleNamespace(**values | changes)


TRAINING = {
    "configs": (meta(config={"seed": 1}), val_set(), WEIGHTS, 3),
    "training data": (meta(data="1"), val_set(), WEIGHTS, 3),
    "validation data": (meta(), fewer(), WEIGHTS, 3),
    "frozen teachers": (meta(teacher={}), val_set(), WEIGHTS, 3),
    "starting weights": (meta(), val_set(), OTHER_WEIGHTS, 3),
    "newest checkpoints": (meta(), val_set(), WEIGHTS, 6),
}
EVALUATION = {
    "configs": (replace(OPTIONS, seed=1), val_set(), WEIGHTS),
    "pictures to evaluate on": (OPTIONS, fewer(), WEIGHTS),
    "checkpoints": (OPTIONS, val_set(), OTHER_WEIGHTS),
}


@pytest.mark.parametrize(
    ("facts", "same", "changed"),
    [
        (prepare._facts, (meta(), val_set(), WEIGHTS, 3), TRAINING),
        (evaluate._facts, (OPTIONS, val_set(), WEIGHTS), EVALUATION),
    ],
)
def test_each_is_another_where_that_is_changed(facts: Any, same: Any, changed: Any, monkeypatch: Any) -> None:
    before = facts(*same)
    for name, arguments in changed.items():
        after = facts(*arguments)
        assert {key for key in before if before[key] != after[key]} == {name}
    monkeypatch.setattr(jax, "__version__", "0")
    after = facts(*same)
    assert {key for key in before if before[key] != after[key]} == {"versions of jax"}
    assert set(before) == {*changed, "versions of jax"}
