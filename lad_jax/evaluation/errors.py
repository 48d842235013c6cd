"""What a detector gets wrong: its best score threshold, classes, confusions, kinds of error and worst pictures."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from lad_jax.evaluation.coco import Metrics
from lad_jax.evaluation.curves import Best, Curve, average_precision, best_threshold, make_curve, recall_at, thin
from lad_jax.evaluation.matched import MOST
from lad_jax.evaluation.overlaps import MATCH_IOU, Overlaps, find_overlaps, match
from lad_jax.evaluation.tide import Kind, tide

BACKGROUND = "background"
"""Name, in a confusion matrix, of where there is no object, and of what detects none."""
WORST = 100
"""Pictures that are listed."""


@dataclasses.dataclass(frozen=True)
class ClassErrors:
    """One class at IoU 0.5; None where it has no object."""

    name: str
    ap50: float | None
    recall: float | None
    """Share of its objects that is found at the best threshold of all classes."""
    best: Best
    """The best threshold of this class alone."""
    curve: Curve


@dataclasses.dataclass(frozen=True)
class PictureErrors:
    """Misses and false positives in one picture, at the best threshold."""

    id: int
    name: str
    misses: int
    false_positives: int


@dataclasses.dataclass(frozen=True)
class Errors:
    """What a detector gets wrong at IoU 0.5, where detections of at least the best threshold count."""

    best: Best
    """The threshold at which F1 of all detections together, whatever their classes, is largest."""
    classes: tuple[ClassErrors, ...]
    confusion: Int[np.ndarray, "K K"]
    """Numbers of objects and detections: rows are true classes, columns detected ones, the background last of K."""
    tide: dict[Kind, float | None]
    """dAP by kind of error, of all detections."""
    pictures: tuple[PictureErrors, ...]
    """All pictures, those with most misses and false positives first."""


def find_errors(
    ground_truth: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    class_names: Sequence[str],
    category_ids: Sequence[int],
    *,
    most: int = MOST,
) -> Errors:
    """Errors of detections. Crowds and ignored objects are neither missed nor mistakes, as in COCO's metrics.

    Args:
      ground_truth: COCO annotations, as for `coco.evaluate`.
      results: COCO results; those of other images are left out. May be empty.
      class_names: names of the categories.
      category_ids: their ids, in the same order.
      most: number of detections of a picture that count.
    """
    overlaps = find_overlaps(ground_truth, results, category_ids, most)
    objects, detected = overlaps.objects, overlaps.detected
    of_all = best_threshold(make_curve(detected.score, detected.correct, len(objects.label)), len(objects.label))
    counted = detected.score >= (np.inf if of_all.threshold is None else of_all.threshold)
    return Errors(
        best=of_all,
        classes=tuple(_of_class(overlaps, k, name, of_all.threshold) for k, name in enumerate(class_names)),
        confusion=_confusion(overlaps, counted),
        tide=tide(overlaps),
        pictures=_ranked(overlaps, counted, ground_truth["images"]),
    )


def to_json(errors: Errors, metrics: Metrics, shown: Sequence[int] = ()) -> dict[str, Any]:
    """Errors and COCO's metrics as a report has them: numbers, text, lists and None, no NaN.

    Args:
      errors: of detections.
      metrics: of the same detections.
      shown: ids of the pictures that the report shows. They are listed among the worst ones in any case.
    """
    place = {number: i for i, number in enumerate(shown)}
    return {
        "threshold": {"best": errors.best.threshold, "f1": errors.best.f1},
        "overall": dict(metrics.overall),
        "classes": [
            {
                "name": one.name,
                "AP": metrics.per_class[one.name],
                "AP50": one.ap50,
                "recall": one.recall,
                "best_threshold": one.best.threshold,
                "f1": one.best.f1,
                "curve": _points(one.curve),
            }
            for one in errors.classes
        ],
        "confusion": {"names": [*(c.name for c in errors.classes), BACKGROUND], "counts": errors.confusion.tolist()},
        "tide": dict(errors.tide),
        "worst": [
            {**dataclasses.asdict(picture), "picture": place.get(picture.id)}
            for picture in _listed(errors.pictures, place)
        ],
    }


def _of_class(overlaps: Overlaps, k: int, name: str, threshold: float | None) -> ClassErrors:
    """Errors of class `k`, its recall at the threshold of all classes."""
    mine = overlaps.detected.label == k
    score, correct = overlaps.detected.score[mine], overlaps.detected.correct[mine]
    n_objects = int(np.count_nonzero(overlaps.objects.label == k))
    whole = make_curve(score, correct, n_objects)
    return ClassErrors(
        name=name,
        ap50=average_precision(correct, n_objects) if n_objects else None,
        recall=recall_at(whole, threshold) if n_objects else None,
        best=best_threshold(whole, n_objects),
        curve=thin(whole),
    )


def _confusion(overlaps: Overlaps, counted: Bool[np.ndarray, " D"]) -> Int[np.ndarray, "K K"]:
    """Objects by true and detected class. Detections of its class come first, as in AP; then those of others.

    The diagonal is what AP counts as found. Of what is left, detections by falling score take the object of another
    class that they overlap most, at IoU 0.5 or more.
    """
    objects, detected, pairs = overlaps.objects, overlaps.detected, overlaps.pairs
    found = np.where(counted, detected.found, -1)
    free = _unfound(found, len(objects.label))
    left = (counted & (found < 0))[pairs.detection] & free[pairs.object] & (pairs.iou >= MATCH_IOU)
    none = np.zeros(len(free), bool)
    taken = np.maximum(found, match(pairs.where(left), len(found), none, none))

    background = overlaps.n_classes
    true = np.append(objects.label, background)[taken]  # -1, no object: the background
    counts = np.zeros((background + 1, background + 1), np.int64)
    np.add.at(counts, (true[counted], detected.label[counted]), 1)
    np.add.at(counts, (objects.label[_unfound(taken, len(free))], background), 1)
    return counts


def _unfound(found: Int[np.ndarray, " D"], n_objects: int) -> Bool[np.ndarray, " n_objects"]:
    """Objects that no detection has."""
    return ~np.isin(np.arange(n_objects), found)


def _ranked(
    overlaps: Overlaps, counted: Bool[np.ndarray, " D"], images: Sequence[Mapping[str, Any]]
) -> tuple[PictureErrors, ...]:
    """Pictures by falling number of errors, then of misses, then by rising id."""
    objects, detected = overlaps.objects, overlaps.detected
    n, right = overlaps.n_pictures, counted & detected.correct
    misses = np.bincount(objects.picture, minlength=n) - np.bincount(detected.picture[right], minlength=n)
    false = np.bincount(detected.picture[counted & ~right], minlength=n)
    images = sorted(images, key=lambda image: image["id"])
    return tuple(
        PictureErrors(images[i]["id"], images[i].get("file_name", str(images[i]["id"])), int(misses[i]), int(false[i]))
        for i in np.lexsort((-misses, -(misses + false)))
    )


def _listed(pictures: Sequence[PictureErrors], shown: Collection[int]) -> list[PictureErrors]:
    """The worst pictures that have an error, and those that are shown."""
    return [
        picture
        for place, picture in enumerate(pictures)
        if picture.id in shown or (place < WORST and picture.misses + picture.false_positives)
    ]


def _points(curve: Curve) -> dict[str, list[float]]:
    """A curve as a report has it."""

    def rounded(values: Float[np.ndarray, " n"]) -> list[float]:
        return values.round(6).tolist()

    return {"scores": rounded(curve.score), "precision": rounded(curve.precision), "recall": rounded(curve.recall)}
