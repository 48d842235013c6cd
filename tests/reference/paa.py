"""Literal twin of PAA's assignment, of CoLAD's switch and of the losses, in numpy and scikit-learn.

Picture by picture and object by object, the way a reference implementation goes about it (spec 3 to 7), written
without a look at `lad_jax`. Arrays of one picture: `anchors` [A,4], `valid` [A], `level` [A], objects' `boxes` [n,4]
and `labels` [n] (no padding), `logits` [A,C], decoded `predicted` boxes [A,4], `quality` logits [A].
"""

import warnings

import numpy as np
from sklearn.mixture import GaussianMixture

EPSILON = 1e-6


def overlaps(a, b):
    """Overlap and union of boxes (leading axes broadcast)."""
    side = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None)
    overlap = side[..., 0] * side[..., 1]
    areas = [(x[..., 2] - x[..., 0]) * (x[..., 3] - x[..., 1]) for x in (a, b)]
    return overlap, np.maximum(areas[0] + areas[1] - overlap, EPSILON)


def iou(a, b):
    overlap, union = overlaps(a, b)
    return overlap / union


def giou(a, b):
    overlap, union = overlaps(a, b)
    side = np.clip(np.maximum(a[..., 2:], b[..., 2:]) - np.minimum(a[..., :2], b[..., :2]), 0, None)
    hull = np.maximum(side[..., 0] * side[..., 1], EPSILON)
    return overlap / union - (hull - union) / hull


def decode(anchors, deltas):
    dx, dy, dw, dh = (deltas * np.array([0.1, 0.1, 0.2, 0.2], deltas.dtype)).T
    limit = abs(np.log(16 / 1000))
    width, height = anchors[:, 2] - anchors[:, 0], anchors[:, 3] - anchors[:, 1]
    x = (anchors[:, 0] + anchors[:, 2]) / 2 + width * dx
    y = (anchors[:, 1] + anchors[:, 3]) / 2 + height * dy
    w, h = width * np.exp(np.clip(dw, -limit, limit)), height * np.exp(np.clip(dh, -limit, limit))
    return np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def focal(logits, present):
    """Focal loss [..., C] of logits; `present` is the one-hot target."""
    p = sigmoid(logits)
    return np.where(present, -0.25 * (1 - p) ** 2 * np.log(p), -0.75 * p**2 * np.log(1 - p))


def pre_assign(anchors, valid, boxes, min_iou=0.1):
    """The candidate object of each anchor, -1 for none."""
    candidate = np.full(len(anchors), -1)
    if len(boxes) == 0:
        return candidate
    inside = np.flatnonzero(valid)
    overlap = iou(boxes[:, None], anchors[None, inside])
    best = overlap.max(axis=0)
    assigned = np.where(best >= min_iou, overlap.argmax(axis=0), -1)
    for g in range(len(boxes)):
        assigned[overlap[g] == overlap[g].max()] = g
    candidate[inside] = assigned
    return candidate


def costs(candidate, logits, predicted, boxes, labels):
    """Cost of each candidate anchor, nan elsewhere."""
    result = np.full(len(candidate), np.nan, logits.dtype)
    positive = np.flatnonzero(candidate >= 0)
    if len(positive) == 0:
        return result
    target = candidate[positive]
    present = labels[target][:, None] == np.arange(logits.shape[1])
    classification = focal(logits[positive], present).sum(axis=1)
    result[positive] = classification + 1.3 * (1 - giou(predicted[positive], boxes[target]))
    return result


def cheapest(candidate, cost, level, g, top=9):
    """Indices of the cheapest candidates of object g on every level, by rising cost."""
    chosen = []
    for n in range(level.max() + 1):
        here = np.flatnonzero((candidate == g) & (level == n))
        chosen.append(here[np.argsort(cost[here], kind="stable")[:top]])
    chosen = np.concatenate(chosen)
    return chosen[np.argsort(cost[chosen], kind="stable")]


def mixture(x):
    """The fitted scikit-learn mixture of ascending values."""
    fitted = GaussianMixture(
        2,
        weights_init=[0.5, 0.5],
        means_init=[[x[0]], [x[-1]]],
        precisions_init=[[1.0], [1.0]],
        covariance_type="diag",
        tol=1e-3,
        max_iter=100,
        reg_covar=1e-6,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fitted.fit(x[:, None])


def positives_of(x, threshold="densest_foreground"):
    """Positions of the positives among ascending costs."""
    if len(x) < 2:
        return np.zeros(0, int)
    try:
        fitted = mixture(x)
    except ValueError:  # "ill-defined empirical covariance": the released code gives the object no positives
        return np.zeros(0, int)
    if threshold == "lower_mean":
        return np.flatnonzero(x < fitted.means_.min())
    foreground = np.flatnonzero(fitted.predict(x[:, None]) == 0)
    if len(foreground) == 0:
        return foreground
    density = fitted.score_samples(x[:, None])[foreground]
    densest = density.argmax()
    return foreground[: densest + 1] if threshold == "densest_foreground" else np.arange(foreground[densest] + 1)


def partition(candidate, cost, level, n_objects, threshold="densest_foreground"):
    """The object that each anchor is positive for, -1 for none."""
    owner = np.full(len(candidate), -1)
    for g in range(n_objects):
        chosen = cheapest(candidate, cost, level, g)
        owner[chosen[positives_of(cost[chosen], threshold)]] = g
    return owner


def score(costs, criterion):
    """How well a network tells several candidates apart (eq. 3)."""
    if criterion == "std_over_mean":
        return costs.std(ddof=1) / costs.mean()
    fitted = mixture(np.sort(costs))
    return (fitted.means_[1, 0] - fitted.means_[0, 0]) ** 2 / fitted.covariances_.sum()


def switch(student, teacher, candidate, level, n_objects):
    """CoLAD: which anchors take their cost from the teacher."""
    from_teacher = np.zeros(len(candidate), bool)
    for g in range(n_objects):
        for n in range(level.max() + 1):
            cell = (candidate == g) & (level == n)
            s, t = student[cell], teacher[cell]
            if cell.sum() > 1:
                from_teacher[cell] = t.std(ddof=1) / t.mean() >= s.std(ddof=1) / s.mean()
            elif cell.sum() == 1:
                from_teacher[cell] = t.mean() < s.mean()
    return from_teacher


def losses(pictures, *, weighted):
    """Class, box and quality loss of a batch; `weighted` is PAA's weighting of boxes, else the LAD family's.

    Each picture is a tuple (logits, predicted, quality, owner, valid, boxes, labels).
    """
    class_sum = box_sum = weight_sum = quality_sum = n_positive = 0.0
    for logits, predicted, quality, owner, valid, boxes, labels in pictures:
        positive = np.flatnonzero(owner >= 0)
        present = np.zeros(logits.shape, bool)
        present[positive, labels[owner[positive]]] = True
        class_sum += focal(logits[valid], present[valid]).sum()
        target = boxes[owner[positive]]
        overlap = iou(predicted[positive], target)
        weight = np.maximum(overlap, 1e-12) if weighted else np.ones(len(positive))
        box_sum += (weight * (1 - giou(predicted[positive], target))).sum()
        weight_sum += weight.sum()
        p = sigmoid(quality[positive])
        quality_sum += -(overlap * np.log(p) + (1 - overlap) * np.log(1 - p)).sum()
        n_positive += len(positive)
    class_loss = class_sum / max(n_positive, len(pictures))
    if n_positive == 0:
        return class_loss, 0.0, 0.0
    return class_loss, 1.3 * box_sum / weight_sum, 0.5 * quality_sum / n_positive
