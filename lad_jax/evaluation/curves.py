"""Precision, recall and F1 of detections by the score above which they count."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

POINTS = 200
"""Points of a curve that is drawn, at most."""
_RECALLS = np.linspace(0, 1, 101)


class Curve(NamedTuple):
    """Precision and recall where detections of a score or more count, by falling score, each score once."""

    score: Float[np.ndarray, " n"]
    precision: Float[np.ndarray, " n"]
    recall: Float[np.ndarray, " n"]
    f1: Float[np.ndarray, " n"]


class Best(NamedTuple):
    """The score threshold of the largest F1, the highest one of several; None where no object is found at all."""

    threshold: float | None
    f1: float | None
    """None where there is no object."""


def make_curve(score: Float[np.ndarray, " D"], correct: Bool[np.ndarray, " D"], n_objects: int) -> Curve:
    """Precision, recall and F1 of each score that a detection has.

    precision = found / detections, recall = found / objects, F1 = 2 found / (detections + objects).

    Args:
      score: of detections, falling.
      correct: whether a detection finds an object.
      n_objects: number of objects; where it is 0, so is the recall.
    """
    last = np.flatnonzero(np.diff(score, append=-np.inf))  # the last one of each score
    found, counted = np.cumsum(correct)[last], last + 1
    return Curve(score[last], found / counted, found / max(n_objects, 1), 2 * found / (counted + n_objects))


def best_threshold(curve: Curve, n_objects: int) -> Best:
    """The threshold of a curve of `n_objects` objects at which F1 is largest."""
    if not n_objects:
        return Best(None, None)
    if not curve.recall.any():
        return Best(None, 0.0)
    place = curve.f1.argmax()
    return Best(float(curve.score[place]), float(curve.f1[place]))


def recall_at(curve: Curve, threshold: float | None) -> float:
    """Recall where detections of at least `threshold` count; 0 where there is none."""
    counted = 0 if threshold is None else np.count_nonzero(curve.score >= threshold)
    return float(curve.recall[counted - 1]) if counted else 0.0


def thin(curve: Curve) -> Curve:
    """At most `POINTS` points of a curve: evenly by score and by recall, the ends and the best F1."""
    if len(curve.score) <= POINTS:
        return curve
    half = (POINTS - 1) // 2
    by_score = np.searchsorted(-curve.score, -np.linspace(curve.score[0], curve.score[-1], half))
    by_recall = np.searchsorted(curve.recall, np.linspace(curve.recall[0], curve.recall[-1], half))
    kept = np.unique(np.concatenate([by_score, by_recall, [curve.f1.argmax()]]))
    return Curve(*(values[kept] for values in curve))


def average_precision(correct: Bool[np.ndarray, " D"], n_objects: int) -> float:
    """COCO's AP of one class at one IoU: precision, made to fall, at 101 recalls; 0 without objects.

    Args:
      correct: whether a detection finds an object, by falling score.
      n_objects: number of objects.

    Source: pycocotools, equal to it bit for bit.
    """
    found = np.cumsum(correct)
    precision = found / (np.arange(1, len(found) + 1) + np.spacing(1))
    falling = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(falling[np.searchsorted(found / max(n_objects, 1), _RECALLS)].mean())
