"""TIDE: how much AP each kind of error costs, by what an oracle that corrects that kind alone would gain."""

from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

from lad_jax.evaluation.curves import average_precision
from lad_jax.evaluation.overlaps import MATCH_IOU, Overlaps, Pairs

Kind = Literal["classification", "localisation", "both", "duplicate", "background", "missed"]
KINDS: tuple[Kind, ...] = get_args(Kind)
CORRECT = "correct"
"""Name of what is no error among the kinds of detections."""


class Judged(NamedTuple):
    """What is wrong with each detection."""

    kind: np.ndarray
    """Name of its error, or `CORRECT`."""
    meant: Int[np.ndarray, " D"]
    """The object that it would find without a classification or localisation error; meaningless for other kinds."""


def tide(overlaps: Overlaps) -> dict[Kind, float | None]:
    """Gain in AP at IoU 0.5, averaged over the classes that have objects, if one kind of error were put right.

    * classification: the detection gets the class of the object that it overlaps most;
    * localisation: it gets the box of that object;
    * both, duplicate, background: it is dropped;
    * missed: objects that nothing found, nor would have found without the first two errors, do not count; nor does a
      class of which neither an object nor a detection is left. If that is every class, the AP is taken for 1.

    Of several detections that then find one object, the one of the highest score stays, and the others are dropped.

    Returns:
      dAP by kind, in [0, 1]; None where there is no object.

    Source: Bolya et al., TIDE, 2020, section 2. Its authors' program (tidecv) drops what is put right of an object that
    is found already, and of a classification and a localisation error of one object puts one right only; so its first
    two numbers may be smaller.
    """
    detected, n_objects = overlaps.detected, np.bincount(overlaps.objects.label, minlength=overlaps.n_classes)
    if not n_objects.any():
        return dict.fromkeys(KINDS)
    measured, judged = np.flatnonzero(n_objects), judge(overlaps)
    missed = np.bincount(overlaps.objects.label[_missed(overlaps, judged)], minlength=overlaps.n_classes)
    before = _mean_ap(detected.label, detected.correct, n_objects, measured)
    after = {kind: _mean_ap(*_put_right(overlaps, judged, kind), n_objects, measured) for kind in KINDS[:-1]}
    left = n_objects - missed
    remaining = measured[(left + np.bincount(detected.label, minlength=overlaps.n_classes))[measured] > 0]
    after["missed"] = _mean_ap(detected.label, detected.correct, left, remaining) if len(remaining) else 1.0
    return {kind: ap - before for kind, ap in after.items()}


def judge(overlaps: Overlaps) -> Judged:
    """The error of each false positive, by its largest IoU with objects of its class and of others.

    In this order: localisation, 0.1 ≤ IoU < 0.5 with its class; classification, IoU ≥ 0.5 with another; duplicate,
    IoU ≥ 0.5 with its class; background, IoU < 0.1 with all; both for the rest.

    Source: Bolya et al., TIDE, 2020, figure 2; the order is that of the authors' program.
    """
    detected, pairs = overlaps.detected, overlaps.pairs
    same = detected.label[pairs.detection] == overlaps.objects.label[pairs.object]
    iou, nearest = _nearest(pairs.where(same), len(detected.label))
    iou_of_others, nearest_other = _nearest(pairs.where(~same), len(detected.label))
    rules: dict[str, Bool[np.ndarray, " D"]] = {
        CORRECT: detected.correct,
        "localisation": (iou > 0) & (iou < MATCH_IOU),
        "classification": iou_of_others >= MATCH_IOU,
        "duplicate": iou >= MATCH_IOU,
        "background": iou_of_others == 0,
    }
    kind = np.select(list(rules.values()), list(rules), default="both")
    return Judged(kind, np.where(kind == "classification", nearest_other, nearest))


def _nearest(pairs: Pairs, n_detections: int) -> tuple[Float[np.ndarray, " D"], Int[np.ndarray, " D"]]:
    """The largest IoU of each detection and the object it is with; 0 and 0 where no pair is listed."""
    iou, nearest = np.zeros(n_detections), np.zeros(n_detections, np.int64)
    rising = pairs.where(np.argsort(pairs.iou, kind="stable"))
    iou[rising.detection], nearest[rising.detection] = rising.iou, rising.object  # the last one written stays
    return iou, nearest


def _put_right(overlaps: Overlaps, judged: Judged, kind: Kind) -> tuple[Int[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Labels of the detections without one kind of error of theirs, and whether they find an object."""
    detected, wrong = overlaps.detected, judged.kind == kind
    found = detected.found
    if kind in ("classification", "localisation"):
        found = np.where(wrong, judged.meant, found)
        _, first = np.unique(found, return_index=True)  # by falling score
        wrong = (found >= 0) & ~np.isin(np.arange(len(found)), first)
    label = np.where(found >= 0, overlaps.objects.label[found], detected.label)
    return label[~wrong], found[~wrong] >= 0


def _missed(overlaps: Overlaps, judged: Judged) -> Bool[np.ndarray, " G"]:
    """Objects that are neither found nor meant by a detection of a wrong class or place."""
    meant = judged.meant[np.isin(judged.kind, ["classification", "localisation"])]
    return ~np.isin(np.arange(len(overlaps.objects.label)), np.append(overlaps.detected.found, meant))


def _mean_ap(
    label: Int[np.ndarray, " D"],
    correct: Bool[np.ndarray, " D"],
    counts: Int[np.ndarray, " C"],
    measured: Int[np.ndarray, " M"],
) -> float:
    """Mean AP of the classes `measured` by detections of falling score, of `counts` objects by class."""
    return float(np.mean([average_precision(correct[label == k], int(counts[k])) for k in measured]))
