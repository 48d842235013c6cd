"""What a detector gets wrong: sums that must hold, cases by hand, and the numbers of a report."""

import json
import warnings

import numpy as np
import pytest

from lad_jax.evaluation.coco import evaluate
from lad_jax.evaluation.errors import WORST, find_errors, to_json
from tests.evaluation.scenes import CLASSES, IDS, at_random, found, truth

CAT, DOG = 3, 18
A, B, FAR = [0, 0, 20, 20], [100, 0, 20, 20], [300, 300, 20, 20]


def errors_of(ground_truth, results):
    return find_errors(ground_truth, results, CLASSES, IDS)


def as_json(ground_truth, results, shown=()):
    metrics = evaluate(ground_truth, results, CLASSES, IDS)
    return to_json(errors_of(ground_truth, results), metrics, shown)


@pytest.fixture(scope="module")
def case():
    return at_random(3, pictures=20, objects=10, marked=0.1)


@pytest.fixture(scope="module")
def report(case):
    return as_json(*case, shown=[7, 2])


def test_confusion_counts_each_object_and_detection_once(case):
    ground_truth, results = case
    errors = errors_of(ground_truth, results)
    kept = [a["category_id"] for a in ground_truth["annotations"] if not (a["iscrowd"] or a["ignore"])]
    assert errors.confusion[:-1].sum(axis=1).tolist() == [kept.count(number) for number in IDS]
    n_detected = errors.confusion[:, :-1].sum()
    assert n_detected < sum(one["score"] >= errors.best.threshold for one in results), "some lie in crowds"
    for k, one in enumerate(errors.classes):
        assert one.recall == pytest.approx(errors.confusion[k, k] / errors.confusion[k].sum())
    n_found = np.trace(errors.confusion[:-1, :-1])
    assert errors.best.f1 == pytest.approx(2 * n_found / (n_detected + len(kept)))
    wrong = sum(picture.misses + picture.false_positives for picture in errors.pictures)
    assert wrong == len(kept) + n_detected - 2 * n_found


def test_confusion_by_hand():
    """A cat taken for a dog and, with less certainty, for a cow; a dog found below the threshold; a cow of nothing."""
    ground_truth = truth((1, CAT, A), (2, CAT, A), (2, CAT, B), (1, DOG, B), pictures=2)
    results = [(1, DOG, A, 0.9), (1, 90, A, 0.8), (2, CAT, A, 0.7), (2, CAT, B, 0.7), (1, 90, FAR, 0.3)]
    errors = errors_of(ground_truth, found(*results, (1, DOG, FAR, 0.2), (1, 90, FAR, 0.2), (1, DOG, B, 0.1)))
    assert errors.best == (0.7, 0.5)
    assert errors.confusion.tolist() == [[2, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0]]
    assert [(p.id, p.misses, p.false_positives) for p in errors.pictures] == [(1, 2, 2), (2, 0, 0)]
    assert [c.recall for c in errors.classes] == [pytest.approx(2 / 3), 0.0, None]


def test_the_own_class_comes_before_a_better_score_of_another():
    errors = errors_of(truth((1, CAT, A), (1, CAT, B)), found((1, DOG, A, 0.9), (1, CAT, A, 0.8), (1, CAT, B, 0.7)))
    assert errors.confusion.tolist() == [[2, 0, 0, 0], [0] * 4, [0] * 4, [0, 1, 0, 0]]


def test_a_report_agrees_with_pycocotools(case, report):
    metrics = evaluate(*case, CLASSES, IDS)
    assert report["overall"] == metrics.overall
    assert [one["AP"] for one in report["classes"]] == list(metrics.per_class.values())
    assert np.mean([one["AP50"] for one in report["classes"]]) == pytest.approx(metrics.overall["AP50"], abs=1e-12)


def test_a_report_is_plain_json_of_its_pictures(report):
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["confusion"]["names"] == [*CLASSES, "background"]
    places = {one["id"]: one["picture"] for one in report["worst"]}
    assert places[7] == 0 and places[2] == 1 and list(places.values()).count(None) == len(places) - 2
    total = [one["misses"] + one["false_positives"] for one in report["worst"]]
    assert total == sorted(total, reverse=True) and report["worst"][0]["name"].endswith(".png")
    for one in report["classes"]:
        scores, precisions, recalls = (one["curve"][name] for name in ("scores", "precision", "recall"))
        place = scores.index(one["best_threshold"])
        precision, recall = precisions[place], recalls[place]
        assert 2 * precision * recall / (precision + recall) == pytest.approx(one["f1"], abs=1e-5)


def test_good_pictures_are_listed_only_where_they_are_shown():
    """Of many bad ones the worst are."""
    n = WORST + 30
    ground_truth = truth(*[(i, CAT, A) for i in range(1, n + 1)], (1, CAT, B), pictures=n + 2)
    results = found((n, CAT, A, 0.9), (n - 1, DOG, A, 0.9))
    worst = as_json(ground_truth, results, shown=[n + 2, n])["worst"]
    assert len(worst) == WORST + 2 and [one["id"] for one in worst[:3]] == [1, n - 1, 2]
    assert worst[-2:] == [
        {"id": n, "name": f"{n}.png", "misses": 0, "false_positives": 0, "picture": 1},
        {"id": n + 2, "name": f"{n + 2}.png", "misses": 0, "false_positives": 0, "picture": 0},
    ]


CROWD = truth((1, CAT, A, {"iscrowd": 1}))


@pytest.mark.parametrize(
    ("ground_truth", "results", "best", "known"),
    [
        (truth(), [], None, []),
        (truth(), [(1, CAT, A, 0.9)], None, []),
        (CROWD, [(1, CAT, A, 0.9)], None, []),
        (truth((1, CAT, A)), [], 0.0, ["cat"]),
        (truth((1, CAT, A)), [(1, CAT, FAR, 0.9)], 0.0, ["cat"]),
        (truth((1, CAT, A)), [(1, CAT, A, 0.9)], 1.0, ["cat"]),
        (truth((1, CAT, A)), [(1, DOG, A, 0.9)], 0.0, ["cat"]),
    ],
    ids=["nothing", "no objects", "crowds alone", "no detections", "nothing found", "all found", "wrong class"],
)
def test_what_cannot_be_measured_is_null(ground_truth, results, best, known):
    """Neither NaN nor a warning; there is a threshold only where something is found."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = as_json(ground_truth, found(*results))
    json.dumps(report, allow_nan=False)
    assert report["threshold"] == {"best": 0.9 if best else None, "f1": best}
    for one in report["classes"]:
        numbers = [one[name] for name in ("AP", "AP50", "recall", "f1")]
        assert all((value is not None) == (one["name"] in known) for value in numbers)
    assert all((gain is not None) == bool(known) for gain in report["tide"].values())
    assert np.sum(report["confusion"]["counts"]) == len(known)
