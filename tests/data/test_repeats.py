"""Pictures of rare classes: how often an epoch shows them, against LVIS's rule in plain Python."""

import dataclasses
import math

import numpy as np
import pytest

from lad_jax.data import DataOptions, Record, make_plan
from lad_jax.data.plan import repeat_factors

OPTIONS = DataOptions(short_side=64, long_side=96, canvases=2, workers=0, filter_empty=False)


class Rare:
    """Pictures of two shapes; class 0 is in all but some, class 1 in few, class 2 in one, class 3 only as a crowd."""

    class_names = ("common", "few", "one", "crowd")
    category_ids = (1, 2, 3, 4)
    doubts = ()

    def __init__(self, n: int = 60):
        classes = [{0} | ({1} if i % 10 == 0 else set()) | ({2} if i == 7 else set()) for i in range(n)]
        classes[3] = set()
        self.classes = classes
        self.records = tuple(self._record(i, sorted(classes[i]) + [3] * (i < 2)) for i in range(n))

    def orientation(self, position):
        return 1

    def read(self, position, reduction=1):
        raise AssertionError("plans need no pictures")

    def ground_truth(self):
        return {}

    @staticmethod
    def _record(number, labels):
        n, wide = len(labels), number % 3 > 0
        boxes = np.tile(np.array([1, 1, 30, 30], np.float32), (n, 1))
        labels = np.array(labels, np.int32).reshape(n)
        return Record(number, f"{number}.png", 90 if wide else 60, 60 if wide else 90, boxes, labels, labels == 3)


def twin(classes, threshold):
    share = {c: sum(c in present for present in classes) / len(classes) for c in range(3)}
    return [max([1.0] + [math.sqrt(threshold / share[c]) for c in present]) for present in classes]


@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.5, 1.0])
def test_factors_are_lvis_rule(threshold):
    dataset = Rare()
    factors = repeat_factors(dataset.records, threshold)
    np.testing.assert_allclose(factors, twin(dataset.classes, threshold), rtol=1e-12)
    assert factors[3] == 1, "a picture without objects"
    if threshold == 0.5:
        assert factors[7] == pytest.approx(math.sqrt(30)) and factors[10] == pytest.approx(math.sqrt(5))


@pytest.mark.parametrize("batch_size", [1, 4, 7])
def test_epochs_show_pictures_as_often_as_their_factor(batch_size):
    """On average over epochs; in each at least the whole part of it; batches are full and an epoch's length stays."""
    dataset = Rare()
    plan = make_plan(dataset, dataclasses.replace(OPTIONS, repeat_threshold=0.5), batch_size=batch_size, seed=0)
    factors, epochs = np.array(twin(dataset.classes, 0.5)), 120
    of_group = [factors[group].sum() for group in plan.groups]
    assert len(of_group) == 2
    assert plan.steps_per_epoch == sum(math.ceil(math.ceil(total) / batch_size) for total in of_group)
    seen = np.zeros((epochs, len(factors)), int)
    for epoch in range(epochs):
        for step in range(plan.steps_per_epoch):
            positions = plan.step(epoch * plan.steps_per_epoch + step).positions
            assert len(positions) == batch_size
            np.add.at(seen[epoch], positions, 1)
    assert (seen >= np.floor(factors)).all()
    if batch_size == 1:  # nothing but at most one picture a group fills a batch up
        assert (seen <= np.floor(factors) + 2).all()
        np.testing.assert_allclose(seen.mean(axis=0), factors, atol=0.16)


def test_copies_of_a_picture_are_in_other_batches():
    dataset = Rare()
    plan = make_plan(dataset, dataclasses.replace(OPTIONS, repeat_threshold=0.5), batch_size=4, seed=0)
    for step in range(3 * plan.steps_per_epoch):
        positions = plan.step(step).positions.tolist()
        if 7 not in positions:  # it is shown five times an epoch, of which some must meet
            assert len(set(positions)) == len(positions)
