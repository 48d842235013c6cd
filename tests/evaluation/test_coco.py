"""Metrics on cases whose answer is known, and the files."""

import copy
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from lad_jax.evaluation.coco import Metrics, evaluate, names_of, write_detections, write_metrics

NAMES_OF_CLASSES, IDS = ("cat", "dog", "cow"), (3, 18, 90)  # ids with gaps
ONE = pytest.approx(1.0)  # pycocotools adds a rounding error


def annotation(image_id, category_id, bbox, **extra):
    return {"image_id": image_id, "category_id": category_id, "bbox": bbox, **extra}


def truth(*annotations):
    return {
        "images": [{"id": 7}, {"id": 900_000_000_000}],
        "categories": [{"id": i, "name": n} for i, n in zip(IDS, NAMES_OF_CLASSES, strict=True)],
        "annotations": list(annotations),
    }


CAT = annotation(7, 3, [10, 10, 20, 20], id=0)
DOG = annotation(900_000_000_000, 18, [5, 5, 100, 120], id=4)


def detected(boxes, score=0.9):
    return [{**{k: box[k] for k in ("image_id", "category_id", "bbox")}, "score": score} for box in boxes]


def score(ground_truth, results):
    return evaluate(ground_truth, results, NAMES_OF_CLASSES, IDS)


def test_perfect_detections_give_one():
    """Also where the annotation's id is 0, which pycocotools takes for "not matched"."""
    metrics = score(truth(CAT, DOG), detected([CAT, DOG]))
    assert metrics.per_class == {"cat": ONE, "dog": ONE, "cow": None}
    assert [metrics.overall[name] for name in ("AP", "AR_100", "AP_small", "AP_large")] == [ONE] * 4
    assert metrics.overall["AP_medium"] is None
    assert tuple(metrics.overall) == names_of()


def test_no_detections_give_zero():
    metrics = score(truth(CAT, DOG), [])
    assert metrics.overall["AP"] == metrics.overall["AR_100"] == 0.0
    assert metrics.per_class == {"cat": 0.0, "dog": 0.0, "cow": None}


def test_ground_truth_without_objects_has_nothing_to_measure():
    assert set(score(truth(), detected([CAT])).overall.values()) == {None}


def test_iou_of_three_quarters():
    """IoU 0.75 passes the thresholds 0.50 … 0.75: 6 of 10."""
    half = annotation(7, 3, [10, 10, 20, 15])
    metrics = score(truth(CAT), detected([half]))
    assert metrics.overall["AP"] == pytest.approx(0.6)
    assert metrics.overall["AP50"] == metrics.overall["AP75"] == ONE


def test_false_positive_with_the_higher_score_halves_precision():
    wrong = annotation(7, 3, [60, 60, 20, 20])
    assert score(truth(CAT), detected([CAT], 0.5) + detected([wrong], 0.9)).overall["AP"] == pytest.approx(0.5)
    assert score(truth(CAT), detected([CAT], 0.9) + detected([wrong], 0.5)).overall["AP"] == ONE


def test_detection_in_a_crowd_does_not_count():
    crowd = annotation(7, 3, [50, 50, 100, 100], id=2, iscrowd=1)
    inside = annotation(7, 3, [60, 60, 20, 20])
    assert score(truth(CAT, crowd), detected([CAT], 0.5) + detected([inside], 0.9)).overall["AP"] == ONE


def test_annotated_area_decides_about_size():
    """COCO's area is the mask's; width times height only stands in."""
    assert score(truth({**DOG, "area": 900.0}), detected([DOG])).overall["AP_large"] is None


def crowded(n: int) -> tuple[dict, list]:
    """Cats in rows that do not overlap, all found, and the truth of the dog."""
    cats = [annotation(7, 3, [12 * (i % 40), 12 * (i // 40), 10, 10], id=i) for i in range(n)]
    found = [{**box, "score": 1 - i / 1000} for i, box in enumerate(detected(cats))]
    return truth(*cats, DOG), [*found, *detected([DOG])]


def test_equals_pycocotools_own_summary(capsys):
    """To the last bit, on random boxes, some of them of crowds."""
    rng = np.random.default_rng(0)
    boxes = [
        annotation(
            int(rng.choice([7, 900_000_000_000])), int(rng.choice(IDS)), [*rng.uniform(0, 300, 2), *side], **marks
        )
        for side in np.exp(rng.uniform(2, 6, (80, 2)))
        if (marks := {"iscrowd": int(rng.uniform() < 0.1), "area": float(side.prod()), "id": int(rng.integers(10**9))})
    ]
    near = [{**box, "bbox": (np.array(box["bbox"]) + rng.normal(0, 4, 4)).tolist()} for box in boxes[::-1]]
    results = [{**found, "score": float(rng.uniform())} for found in detected(near)]
    view = COCO()
    view.dataset = copy.deepcopy(truth(*boxes))
    view.createIndex()
    theirs = COCOeval(view, view.loadRes(copy.deepcopy(results)), "bbox")
    theirs.evaluate()
    theirs.accumulate()
    theirs.summarize()
    ours = [-1 if value is None else value for value in score(truth(*boxes), results).overall.values()]
    assert 0 < ours[0] < 1 and ours == theirs.stats.tolist()


def test_more_detections_than_cocos_hundred_count_where_asked():
    ground_truth, results = crowded(150)
    at_100 = score(ground_truth, results)
    assert at_100.per_class["cat"] == pytest.approx(67 / 101, abs=1e-3)  # recall stops at 100 of 150
    assert at_100.overall["AR_100"] == pytest.approx((100 / 150 + 1) / 2)
    at_300 = evaluate(ground_truth, results, NAMES_OF_CLASSES, IDS, most=300)
    assert at_300.per_class["cat"] == at_300.overall["AR_300"] == ONE


def test_other_images_are_left_out():
    elsewhere = annotation(8, 3, [0, 0, 9, 9])
    assert score(truth(CAT), detected([CAT], 0.5) + detected([elsewhere], 0.9)).overall["AP"] == ONE


def test_inputs_are_left_alone_and_nothing_is_printed(capsys):
    ground_truth, results = truth(CAT, DOG), detected([CAT])
    before = copy.deepcopy((ground_truth, results))
    score(ground_truth, results)
    assert (ground_truth, results) == before
    assert capsys.readouterr().out == ""


def test_files(tmp_path):
    results = detected([CAT])
    metrics = score(truth(CAT, DOG), results)
    write_metrics(tmp_path, {"student": metrics})
    write_detections(tmp_path, results)
    stored = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert Metrics(**stored["student"]) == metrics
    assert stored["student"]["overall"]["AP_medium"] is None
    assert json.loads((tmp_path / "detections.json").read_text()) == results


@pytest.mark.parametrize("boxes", [[], [{**CAT, "iscrowd": 1}], [{**CAT, "ignore": 1}, {**DOG, "iscrowd": 1}]])
def test_no_ap_is_no_number(boxes, tmp_path):
    metrics = score(truth(*boxes), detected([CAT]))
    write_metrics(tmp_path, {"student": metrics})
    stored = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=pytest.fail)["student"]
    assert set(stored["overall"].values()) == set(stored["per_class"].values()) == {None}
