"""Matching of detections with objects: the reference's, detection by detection."""

import numpy as np
import pytest

from lad_jax.evaluation.matched import Matched
from lad_jax.evaluation.overlaps import find_overlaps
from tests.evaluation.scenes import IDS, at_random, found, truth

BOX, HALF = [0, 0, 20, 20], [0, 0, 20, 10]


def theirs(ground_truth, results, most):
    """Picture, label, score and whether it finds something, of pycocotools' detections at IoU 0.5 that count."""
    matched = Matched(ground_truth, results, IDS, most, sizes=1)
    return [
        (one["image_id"], one["category_id"], score, match > 0)
        for one in matched.evalImgs
        if one
        for score, match, ignored in zip(one["dtScores"], one["dtMatches"][0], one["dtIgnore"][0], strict=True)
        if not ignored
    ]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("most", [100, 10])
def test_equals_pycocotools(seed, most):
    """With crowds, ignored objects, equal scores and more detections than count."""
    ground_truth, results = at_random(seed, pictures=6, objects=30, marked=0.1, digits=2)
    overlaps = find_overlaps(ground_truth, results, IDS, most)
    objects, detected = overlaps.objects, overlaps.detected
    ours = zip(detected.picture, detected.label, detected.score, detected.correct, strict=True)
    assert sorted(ours) == sorted(theirs(ground_truth, results, most))
    assert len(objects.label) == sum(not (a["iscrowd"] or a["ignore"]) for a in ground_truth["annotations"])
    took = detected.found[detected.correct]
    assert len(set(took.tolist())) == len(took), "an object is found once"
    np.testing.assert_array_equal(objects.label[took], detected.label[detected.correct])
    np.testing.assert_array_equal(objects.picture[took], detected.picture[detected.correct])
    assert (np.diff(detected.score) <= 0).all()


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ({}, [True, False, False]),
        ({"iscrowd": 1}, []),  # takes all that lie in it
        ({"ignore": 1}, [False, False]),  # takes one
    ],
)
def test_an_object_takes_one_detection_and_a_crowd_all(marks, expected):
    results = found(*[(1, 3, BOX, score) for score in (0.9, 0.8, 0.7)])
    overlaps = find_overlaps(truth((1, 3, BOX, marks)), results, IDS, 100)
    assert overlaps.detected.correct.tolist() == expected


def test_pairs_are_of_one_picture_and_any_class():
    ground_truth = truth((1, 3, BOX), (1, 18, HALF), (2, 3, BOX), (1, 3, BOX, {"iscrowd": 1}), pictures=2)
    overlaps = find_overlaps(ground_truth, found((1, 18, BOX, 0.5), (2, 3, [50, 50, 9, 9], 0.9)), IDS, 100)
    assert [*zip(*overlaps.pairs, strict=True)] == [(1, 0, 1.0), (1, 1, 0.5)]
    assert overlaps.detected.found.tolist() == [-1, 1]
