"""Precision, recall and F1 against other programs and against loops."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve

from lad_jax.evaluation.curves import POINTS, average_precision, best_threshold, make_curve, recall_at, thin
from lad_jax.evaluation.matched import Matched
from lad_jax.evaluation.overlaps import find_overlaps
from tests.evaluation.scenes import IDS, at_random


def case(seed: int, n: int = 300, digits: int = 2):
    """Falling scores, many of them equal, and whether each detection finds an object."""
    rng = np.random.RandomState(seed)
    score = np.sort(rng.uniform(size=n).round(digits))[::-1]
    return score, rng.uniform(size=n) < score


def test_equals_scikit_learn():
    """Where every object is found, so that detections alone say what recall is."""
    score, correct = case(0)
    ours = make_curve(score, correct, int(correct.sum()))
    precision, recall, thresholds = precision_recall_curve(correct, score, drop_intermediate=False)
    np.testing.assert_array_equal(ours.score, thresholds[::-1])
    np.testing.assert_allclose(ours.precision, precision[-2::-1], rtol=1e-12)
    np.testing.assert_allclose(ours.recall, recall[-2::-1], rtol=1e-12)


@pytest.mark.parametrize("missed", [0, 100])
def test_the_best_f1_is_a_loops(missed):
    score, correct = case(1)
    n_objects = int(correct.sum()) + missed

    def f1(threshold):
        kept = score >= threshold
        precision, recall = correct[kept].mean(), correct[kept].sum() / n_objects
        return 2 * precision * recall / (precision + recall) if recall else 0.0

    threshold, value = best_threshold(make_curve(score, correct, n_objects), n_objects)
    assert value == pytest.approx(max(map(f1, score)))
    assert f1(threshold) == pytest.approx(value)
    assert recall_at(make_curve(score, correct, n_objects), threshold) == correct[score >= threshold].sum() / n_objects


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_and_recall_equal_pycocotools(seed):
    ground_truth, results = at_random(seed, pictures=10, objects=12, marked=0.1, digits=2)
    matched = Matched(ground_truth, results, IDS, sizes=1).summed()
    objects, detected, *_ = find_overlaps(ground_truth, results, IDS, 100)
    for k in range(len(IDS)):
        correct, n_objects = detected.correct[detected.label == k], int((objects.label == k).sum())
        assert average_precision(correct, n_objects) == matched.precision[0, :, k, 0].mean() > 0
        assert correct.sum() / n_objects == matched.recall[0, k, 0, -1]


def test_a_thin_curve_keeps_its_ends_and_the_best():
    score, correct = case(2, n=5000, digits=6)
    whole = make_curve(score, correct, 4000)
    few = thin(whole)
    assert 100 < len(few.score) <= POINTS and (few.score[0], few.score[-1]) == (score[0], score[-1])
    assert best_threshold(few, 4000) == best_threshold(whole, 4000)
    # Between neighbours neither coordinate jumps.
    assert np.abs(np.diff(few.score)).max() < 0.02 and np.diff(few.recall).max() < 0.02


def test_nothing_to_measure():
    nothing = make_curve(np.zeros(0), np.zeros(0, bool), 3)
    assert best_threshold(nothing, 3) == (None, 0.0) and recall_at(nothing, 0.5) == 0.0
    false = make_curve(np.array([0.9, 0.9]), np.zeros(2, bool), 0)
    assert false.recall.tolist() == [0.0] and best_threshold(false, 0) == (None, None)
    assert average_precision(np.zeros(0, bool), 3) == average_precision(np.zeros(2, bool), 0) == 0.0
