"""Literal twins of the assigners that boxes alone decide: MaxIoU, ATSS and FCOS (assigners 2 to 4)."""

import numpy as np

from tests.reference.picture import (
    BACKGROUND,
    IGNORED,
    cut,
    distance_inside,
    iou_matrix,
    on_all_priors,
    restricted,
    smallest,
    window,
)

FCOS_RANGES = ((-1, 64), (64, 128), (128, 256), (256, 512), (512, 1e8))


def max_iou(picture, positive=0.5, negative=0.4):
    """MaxIoU with its low-quality rule; an object that overlaps no prior claims none."""
    if len(picture.boxes) == 0:
        return {"assigned": picture.nothing_assigned()}
    view, keep = restricted(picture)
    iou = iou_matrix(view.boxes, view.anchors)
    best = iou.max(axis=0)
    assigned = np.full(len(best), IGNORED)
    assigned[best < negative] = BACKGROUND
    for a in np.flatnonzero(best >= positive):
        assigned[a] = iou[:, a].argmax()
    for g, row in enumerate(iou):
        if row.max() > 0:
            assigned[row == row.max()] = g
    n = len(picture.valid)
    return {
        "assigned": np.where(picture.valid, on_all_priors(assigned, keep, n, 0), picture.nothing_assigned()),
        "iou": on_all_priors(iou, keep, n, -1),
        "max_iou": on_all_priors(best, keep, n, -1),
    }


def atss(picture, per_level=9):
    """ATSS; candidates by level and rising distance."""
    assigned = picture.nothing_assigned()
    if len(picture.boxes) == 0:
        return {"assigned": assigned}
    n, points = len(picture.valid), picture.points
    view, keep = restricted(picture)
    iou = on_all_priors(iou_matrix(view.boxes, view.anchors), keep, n, -1)
    rows, best = [], np.full(n, -np.inf)
    for g, box in enumerate(picture.boxes):
        distance = ((points - (box[:2] + box[2:]) / 2) ** 2).sum(axis=1)
        candidate = []
        for level in range(picture.level.max() + 1):
            here = np.flatnonzero(picture.valid & (picture.level == level))
            candidate.extend(here[smallest(distance[here], per_level)])
        values = iou[g, candidate]
        mean, std = values.mean(), values.std(ddof=1)
        inside = distance_inside(points[candidate], box) > 0.01
        positive = (values >= mean + std) & inside
        rows.append(dict(zip(ATSS_ROWS, (candidate, values, mean, std, mean + std, inside, positive), strict=True)))
        for a in np.array(candidate)[positive]:
            if iou[g, a] > best[a]:
                assigned[a], best[a] = g, iou[g, a]
    return {"assigned": assigned, "iou": iou} | {name: np.array([row[name] for row in rows]) for name in ATSS_ROWS}


ATSS_ROWS = ("candidate", "candidate_iou", "mean", "std", "threshold", "inside", "positive")


def fcos_answer(picture, radius):
    """The object of each prior; `radius` None takes the whole box."""
    assigned, points = picture.nothing_assigned(), picture.points
    smallest_area = np.full(len(assigned), 1e8)
    low, high = np.array(FCOS_RANGES)[picture.level].T
    for g, box in enumerate(picture.boxes):
        region = np.broadcast_to(box, (len(points), 4))
        if radius is not None:
            region = cut(window(box, radius, picture.stride), box)
        farthest = ltrb_of(points, box).max(axis=1)
        eligible = (distance_inside(points, region) > 0) & (low <= farthest) & (farthest <= high) & picture.valid
        area = (box[2] - box[0]) * (box[3] - box[1])
        wins = eligible & (area < smallest_area)
        assigned[wins], smallest_area[wins] = g, area
    return assigned


def ltrb_of(points, box):
    """Distances of points to the sides of a box: left, top, right, bottom."""
    return np.concatenate([points - box[..., :2], box[..., 2:] - points], axis=1)


def fcos(picture):
    """FCOS with centre sampling, and its answer for whole boxes."""
    assigned = fcos_answer(picture, 1.5)
    positive = np.flatnonzero(assigned >= 0)
    ltrb, centerness = np.zeros((len(assigned), 4)), np.zeros(len(assigned))
    ltrb[positive] = ltrb_of(picture.points[positive], picture.boxes[assigned[positive]])
    across, along = ltrb[positive][:, ::2], ltrb[positive][:, 1::2]
    ratio = across.min(axis=1) / across.max(axis=1) * along.min(axis=1) / along.max(axis=1)
    centerness[positive] = np.sqrt(ratio)
    whole = fcos_answer(picture, None)
    return {"assigned": assigned, "assigned_whole_box": whole, "ltrb": ltrb, "centerness": centerness}
