"""The table of an evaluation."""

import pytest

from lad_jax.evaluation.coco import evaluate
from lad_jax.evaluation.errors import find_errors
from lad_jax.evaluation.table import format_table
from tests.evaluation.scenes import CLASSES, IDS, found, truth

CAT, DOG, FAR = (1, 3, [10, 10, 20, 20]), (1, 18, [50, 50, 80, 90]), (1, 3, [300, 300, 20, 20])


def table(ground_truth, results, most=100):
    metrics = evaluate(ground_truth, results, CLASSES, IDS, most=most)
    return format_table(metrics, find_errors(ground_truth, results, CLASSES, IDS, most=most))


def test_numbers_in_percent():
    text = table(truth(CAT, DOG), found((*CAT, 0.9), (*FAR, 0.6)))
    first, *_, threshold, _, heading, last = text.splitlines()
    assert first.split()[:4] == ["AP", "50.0", "AP50", "50.0"]
    assert threshold == "best score threshold: 0.900, F1 66.7 at IoU 0.5"
    assert heading == "AP, AP50 and recall at that threshold by class"
    assert last.split() == ["cat", *["100.0"] * 3, "dog", *["0.0"] * 3, "cow", *["-"] * 3]
    assert "no AP" not in text and "count" not in text


def test_more_detections_than_cocos_hundred_are_said():
    assert "300 detections a picture count" in table(truth(CAT), [], most=300).splitlines()


@pytest.mark.parametrize("marks", [None, {"iscrowd": 1}, {"ignore": 1}])
def test_no_ap_is_said_and_is_no_number(marks):
    text = table(truth(*([(*CAT, marks)] if marks else [])), found((*CAT, 0.9)))
    assert "no AP: the validation pictures have no object" in text.splitlines()
    assert not {"0.0", "-100.0", "-1", "nan"} & set(text.split())
    assert "best score threshold: none, since nothing is found at IoU 0.5" in text.splitlines()
