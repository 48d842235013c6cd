"""Objects and detections of all pictures in flat arrays, with their overlaps, matched as COCO matches them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from pycocotools import mask

from lad_jax.data.annotations import boxes_of

MATCH_IOU = 0.5
"""An object is found by a detection of its class that overlaps it at least so."""
LEAST_IOU = 0.1
"""Pairs that overlap less are not listed."""


class Objects(NamedTuple):
    """Objects that count: no crowds, none that is marked `ignore`."""

    picture: Int[np.ndarray, " G"]
    label: Int[np.ndarray, " G"]


class Detected(NamedTuple):
    """Detections that count, by falling score: none of those that COCO ignores, since a crowd takes them."""

    picture: Int[np.ndarray, " D"]
    label: Int[np.ndarray, " D"]
    score: Float[np.ndarray, " D"]
    found: Int[np.ndarray, " D"]
    """The object that it finds, -1 for a false positive."""

    @property
    def correct(self) -> Bool[np.ndarray, " D"]:
        """Whether it finds an object."""
        return self.found >= 0


class Pairs(NamedTuple):
    """Pairs of a detection and an object of one picture, whatever their classes, whose IoU is `LEAST_IOU` or more."""

    detection: Int[np.ndarray, " P"]
    object: Int[np.ndarray, " P"]
    iou: Float[np.ndarray, " P"]

    def where(self, kept: Bool[np.ndarray, " P"] | Int[np.ndarray, " P"]) -> "Pairs":
        """Some of the pairs, or all in another order."""
        return Pairs(*(values[kept] for values in self))


class Overlaps(NamedTuple):
    """What was detected of what there is, at IoU 0.5."""

    objects: Objects
    detected: Detected
    pairs: Pairs
    n_pictures: int
    n_classes: int


def find_overlaps(
    ground_truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], category_ids: Sequence[int], most: int
) -> Overlaps:
    """Objects, detections and their overlaps, pictures numbered by rising id and labels as in `category_ids`.

    Args:
      ground_truth: COCO annotations, as for `coco.evaluate`.
      results: COCO results; those of other images are left out. May be empty.
      category_ids: ids of the categories that count.
      most: number of detections of a picture and class that count.

    Source: pycocotools' matching, at one IoU and for objects of all sizes.
    """
    pictures = {number: i for i, number in enumerate(sorted(image["id"] for image in ground_truth["images"]))}
    labels = {number: k for k, number in enumerate(category_ids)}
    objects = _read(ground_truth["annotations"], pictures, labels)
    crowd = np.array([one.get("iscrowd", 0) for one in objects.rows], bool)
    ignored = crowd | np.array([one.get("ignore", 0) for one in objects.rows], bool)
    listed = _read(results, pictures, labels)
    score = np.array([one["score"] for one in listed.rows], np.float64)
    best = _best_first(listed, score, most)
    xywh, picture, label, score = listed.xywh[best], listed.picture[best], listed.label[best], score[best]

    pairs = _touching(xywh, picture, objects, crowd, len(pictures))
    same = label[pairs.detection] == objects.label[pairs.object]
    found = match(pairs.where(same & (pairs.iou >= MATCH_IOU)), len(score), ignored, crowd)
    at_ignored = np.append(ignored, False)[found]  # -1, none: no ignored one
    new_object, new_detection = _numbered(~ignored), _numbered(~at_ignored)
    pairs = pairs.where(~at_ignored[pairs.detection] & ~ignored[pairs.object])
    return Overlaps(
        Objects(objects.picture[~ignored], objects.label[~ignored]),
        Detected(picture[~at_ignored], label[~at_ignored], score[~at_ignored], new_object[found[~at_ignored]]),
        Pairs(new_detection[pairs.detection], new_object[pairs.object], pairs.iou),
        len(pictures),
        len(labels),
    )


def match(
    pairs: Pairs, n_detections: int, ignored: Bool[np.ndarray, " G"], crowd: Bool[np.ndarray, " G"]
) -> Int[np.ndarray, " n_detections"]:
    """The object that each detection takes, -1 for none: by falling score, each the free one that it overlaps most.

    One that is ignored is taken only where no other is free, and a crowd is free for any number of detections.

    Args:
      pairs: those that may be matched; detections are numbered by falling score.
      n_detections: number of detections.
      ignored: objects that are neither missed nor a mistake.
      crowd: ignored ones that are regions.
    """
    # Of equal overlaps the last object comes first, as in pycocotools.
    order = np.lexsort((-pairs.object, -pairs.iou, ignored[pairs.object], pairs.detection))
    found = [-1] * n_detections
    free = [True] * len(ignored)
    for detection, one in zip(pairs.detection[order].tolist(), pairs.object[order].tolist(), strict=True):
        if found[detection] < 0 and free[one]:
            found[detection] = one
            free[one] = bool(crowd[one])
    return np.array(found, np.int64)


class _Boxes(NamedTuple):
    """Annotations or results of the pictures and classes that count."""

    rows: list[Mapping[str, Any]]
    xywh: Float[np.ndarray, "n 4"]
    picture: Int[np.ndarray, " n"]
    label: Int[np.ndarray, " n"]


def _read(rows: Sequence[Mapping[str, Any]], pictures: Mapping[int, int], labels: Mapping[int, int]) -> _Boxes:
    kept = [row for row in rows if row["image_id"] in pictures and row["category_id"] in labels]
    picture = np.array([pictures[row["image_id"]] for row in kept], np.int64)
    return _Boxes(kept, boxes_of(kept), picture, np.array([labels[row["category_id"]] for row in kept], np.int64))


def _best_first(boxes: _Boxes, score: Float[np.ndarray, " n"], most: int) -> Int[np.ndarray, " D"]:
    """Indices of the `most` best of each picture and class; all by falling score, of equal ones by picture."""
    group = boxes.picture * (boxes.label.max(initial=0) + 1) + boxes.label
    grouped = np.lexsort((-score, group))
    _, starts, sizes = np.unique(group[grouped], return_index=True, return_counts=True)
    rank = np.arange(len(grouped)) - np.repeat(starts, sizes)
    kept = np.sort(grouped[rank < most])
    return kept[np.lexsort((boxes.picture[kept], -score[kept]))]


def _touching(
    xywh: Float[np.ndarray, "D 4"],
    picture: Int[np.ndarray, " D"],
    objects: _Boxes,
    crowd: Bool[np.ndarray, " G"],
    n_pictures: int,
) -> Pairs:
    """All pairs that overlap enough; of a crowd what counts is the part of the detection that it covers."""
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    for rows, columns in zip(_by(picture, n_pictures), _by(objects.picture, n_pictures), strict=True):
        if len(rows) and len(columns):
            iou = mask.iou(xywh[rows], objects.xywh[columns], crowd[columns])
            row, column = np.nonzero(iou >= LEAST_IOU)
            found.append((rows[row], columns[column], iou[row, column]))
    return Pairs(*map(np.concatenate, zip(*found, strict=True)))


def _numbered(kept: Bool[np.ndarray, " n"]) -> Int[np.ndarray, " n+1"]:
    """New numbers of those that are kept, by their old ones; -1 stays -1."""
    return np.append(np.cumsum(kept) - 1, -1)


def _by(picture: Int[np.ndarray, " n"], n_pictures: int) -> list[Int[np.ndarray, " m"]]:
    """Indices of the boxes of each picture."""
    order = np.argsort(picture, kind="stable")
    return np.split(order, np.searchsorted(picture[order], np.arange(1, n_pictures)))
