"""One picture as the twins of the assigners see it, and the geometry that they share (assigners 1.1)."""

from typing import NamedTuple

import numpy as np

from tests.reference.paa import overlaps, sigmoid

BACKGROUND, IGNORED, INVALID = -1, -2, -3


class Picture(NamedTuple):
    """Arrays of one picture, float64 where real, objects without padding."""

    anchors: np.ndarray
    """[A,4], all priors, level by level."""
    valid: np.ndarray
    """[A]; the others are never given to an assigner."""
    level: np.ndarray
    stride: np.ndarray
    boxes: np.ndarray
    """[G,4]."""
    labels: np.ndarray
    image_hw: np.ndarray
    """Height and width of the content [pixels]."""
    logits: np.ndarray | None = None
    deltas: np.ndarray | None = None
    predicted: np.ndarray | None = None
    """Decoded boxes [A,4], not clipped."""
    quality: np.ndarray | None = None

    @property
    def points(self):
        """Centres of the anchors."""
        return (self.anchors[:, :2] + self.anchors[:, 2:]) / 2

    @property
    def p(self):
        """Scores [A,C]."""
        return sigmoid(self.logits)

    @property
    def log_p(self):
        return -np.logaddexp(0, -self.logits)

    @property
    def log_not_p(self):
        return -np.logaddexp(0, self.logits)

    def nothing_assigned(self):
        """Answer without any positive."""
        return np.where(self.valid, BACKGROUND, INVALID)


def make_picture(**arrays):
    """A picture of arrays of any precision."""
    wide = {
        k: np.asarray(v, np.float64) if np.asarray(v).dtype.kind == "f" else np.asarray(v) for k, v in arrays.items()
    }
    return Picture(**wide | {"boxes": np.reshape(wide["boxes"], (-1, 4))})


def restricted(picture):
    """The picture of the valid priors alone, and their positions."""
    keep = np.flatnonzero(picture.valid)
    by_prior = ("anchors", "valid", "level", "stride", "logits", "deltas", "predicted", "quality")
    values = {name: getattr(picture, name) for name in by_prior}
    return picture._replace(**{name: None if x is None else x[keep] for name, x in values.items()}), keep


def on_all_priors(values, keep, n_priors, fill):
    """Values of the valid priors (the last axis) among all priors."""
    values = np.asarray(values)
    result = np.full((*values.shape[:-1], n_priors), fill, values.dtype)
    result[..., keep] = values
    return result


def iou_matrix(boxes, others, epsilon=1e-6):
    """IoU [G,A] of objects with one box a prior."""
    rows = []
    for box in boxes:
        overlap, union = overlaps(box[None], others)
        rows.append(overlap / np.maximum(union, epsilon))
    return np.array(rows).reshape(len(boxes), len(others))


def distance_inside(points, box):
    """Distance of points to the nearest side of a box, positive inside; `box` may be one a point."""
    x1, y1, x2, y2 = np.moveaxis(np.broadcast_to(box, (len(points), 4)), -1, 0)
    x, y = points.T
    return np.min([x - x1, y - y1, x2 - x, y2 - y], axis=0)


def window(box, radius, stride):
    """Squares [A,4] about a box's centre that reach `radius` strides of each prior."""
    centre = (box[:2] + box[2:]) / 2
    reach = radius * stride[:, None]
    return np.concatenate([centre - reach, centre + reach], axis=1)


def cut(windows, box):
    """Windows cut by a box."""
    return np.concatenate([np.maximum(windows[:, :2], box[:2]), np.minimum(windows[:, 2:], box[2:])], axis=1)


def smallest(values, count):
    """Positions of the smallest values in rising order, the first of equals first."""
    return np.argsort(values, kind="stable")[:count]
