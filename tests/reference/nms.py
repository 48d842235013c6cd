"""Slow literal twin of NMS and voting: plain numpy, one box at a time, float64."""

import numpy as np


def iou(a, b):
    """IoU of two boxes."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    overlap = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap
    return overlap / max(union, 1e-6)


def nms_of_class(boxes, scores, threshold):
    """Rows that greedy NMS keeps among those with a finite score, by falling score."""
    waiting = [i for i in np.argsort(-scores, kind="stable") if np.isfinite(scores[i])]
    kept = []
    while waiting:
        best, *others = waiting
        kept.append(best)
        waiting = [i for i in others if not iou(boxes[best], boxes[i]) > threshold]
    return kept


def nms(boxes, scores, threshold, max_detections):
    """NMS of each class by itself, then the best over all classes: a list of (prior, class)."""
    boxes = np.asarray(boxes, np.float64)
    pairs = [(i, c) for c in range(scores.shape[1]) for i in nms_of_class(boxes, scores[:, c], threshold)]
    return sorted(pairs, key=lambda pair: -scores[pair])[:max_detections]


def vote(box, label, boxes, scores):
    """One kept box after voting."""
    top, bottom = np.zeros(4), 0.0
    for candidate, score in zip(np.asarray(boxes, np.float64), scores[:, label], strict=True):
        overlap = iou(np.asarray(box, np.float64), candidate)
        if np.isfinite(score) and overlap > 0.01:
            weight = score * np.exp(-((1 - overlap) ** 2) / 0.025)
            top, bottom = top + weight * candidate, bottom + weight
    return top / bottom
