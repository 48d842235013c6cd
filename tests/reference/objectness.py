"""Literal twin of the heads with objectness (spec 1.8) and of what the reference does with a probability: numpy."""

import numpy as np

from tests.reference.paa import giou, iou, sigmoid


def conditional(logits, coefficients):
    """COP: scores [H,W,C] of logits [H,W,C] and coefficients [H,W,9], neighbour by neighbour."""
    height, width, _ = logits.shape
    result = np.zeros_like(logits)
    for y in range(height):
        for x in range(width):
            for k in range(9):
                v, u = y + k // 3 - 1, x + k % 3 - 1
                inside = 0 <= v < height and 0 <= u < width
                neighbour = sigmoid(logits[v, u]) if inside else 0.5
                result[y, x] += sigmoid(coefficients[y, x, k]) * neighbour / 9
    return result


def implicit(logits, objectness, bias):
    """IOP: scores [H,W,C]."""
    return np.maximum(sigmoid(logits) - sigmoid(bias), 0) * sigmoid(objectness)


def focal(p, present):
    """Focal loss of probabilities, logarithms at least -100."""
    with np.errstate(divide="ignore"):
        log_p, log_not_p = np.maximum(np.log(p), -100), np.maximum(np.log1p(-p), -100)
    return np.where(present, -0.25 * (1 - p) ** 2 * log_p, -0.75 * p**2 * log_not_p)


def losses_without_iou_branch(pictures):
    """Class and box loss of a batch: the plain mean of 1.3·(1 - GIoU) over the positives.

    Each picture is a tuple (p, predicted, owner, valid, boxes, labels).
    """
    class_sum, overlaps = 0.0, []
    for p, predicted, owner, valid, boxes, labels in pictures:
        positive = np.flatnonzero(owner >= 0)
        present = np.zeros(p.shape, bool)
        present[positive, labels[owner[positive]]] = True
        class_sum += focal(p[valid], present[valid]).sum()
        overlaps += list(giou(predicted[positive], boxes[owner[positive]]))
    return class_sum / max(len(overlaps), len(pictures)), 1.3 * np.mean(1 - np.array(overlaps))


def soft_terms(pictures, *, gamma, min_iou, everywhere):
    """Class, IoU-branch and box term of soft-label distillation (spec 7.3), unweighted.

    Each picture is a tuple (student, teacher, valid, hw, boxes), the first two (p [A,C], boxes [A,4], u [A]).
    """

    def kl(s, t):
        with np.errstate(divide="ignore", invalid="ignore"):
            divergence = np.where(t > 0, t * np.log(t / s), 0) + np.where(t < 1, (1 - t) * np.log((1 - t) / (1 - s)), 0)
        return ((t - s) ** 2 + 1e-6) ** (gamma / 2) * divergence

    classes = quality = box = total = 0.0
    for (p, predicted, u), (q, taught, v), valid, (height, width), objects in pictures:
        limit = np.array([width, height, width, height])
        predicted, taught = np.clip(predicted, 0, limit), np.clip(taught, 0, limit)
        overlap = iou(taught[:, None], objects[None]).max(axis=1) if len(objects) else np.zeros(len(p))
        near = valid & (overlap > min_iou)
        classes += kl(p, q)[np.ones_like(valid) if everywhere else valid].sum()
        quality += kl(u, v)[near].sum()
        box += (overlap[near] * (1 - giou(predicted[near], taught[near]))).sum()
        total += overlap[near].sum()
    return classes / total, quality / total, box / total, total
