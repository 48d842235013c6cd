"""FreeAnchor's bag loss, object by object in float64, and its gradient by hand (assigners 9.2).

One picture: logits and deltas of all priors, boxes and labels of the objects without padding.
"""

import numpy as np

from tests.reference.paa import overlaps, sigmoid

STD = np.array([0.1, 0.1, 0.2, 0.2])


def iou(box, others):
    overlap, union = overlaps(box[None], others)
    return overlap / np.maximum(union, 1e-6)


def bag_of(box, anchors, valid, n):
    """Priors of an object's bag, in their order."""
    overlap = np.where(valid, iou(box, anchors), -1)
    first = np.argsort(-overlap, kind="stable")[: min(n, valid.sum())]
    return np.sort(first)


def encode(anchors, box):
    size, centre = anchors[:, 2:] - anchors[:, :2], (anchors[:, :2] + anchors[:, 2:]) / 2
    shift = ((box[:2] + box[2:]) / 2 - centre) / size
    return np.concatenate([shift, np.log((box[2:] - box[:2]) / size)], axis=1) / STD


def smooth(z):
    """H."""
    z = np.abs(z)
    return np.where(z < 0.11, z**2 / 0.22, z - 0.055)


def probabilities(logits, deltas, anchors, box, label):
    """P_cls and P_loc of the priors of a bag."""
    return sigmoid(logits[:, label]), np.exp(-0.75 * smooth(deltas - encode(anchors, box)).sum(axis=1))


def mean_max(s):
    """A bag, its normalised weights, and its derivative by each s."""
    w = 1 / np.maximum(1 - s, 1e-12)
    bag = (w * s).sum() / w.sum()
    return bag, w / w.sum(), (w + w**2 * (s - bag)) / w.sum()


def box_probability(predicted, valid, boxes, labels, n_classes):
    """P+ [A,C]."""
    found = np.zeros((len(valid), n_classes))
    for box, label in zip(boxes, labels, strict=True):
        overlap = np.where(valid, iou(box, predicted), 0)
        if overlap.max() > 0.6:
            fit = np.clip((overlap - 0.6) / (overlap.max() - 0.6), 0, 1)
            found[:, label] = np.maximum(found[:, label], fit)
    return found


def sums(logits, deltas, predicted, anchors, valid, boxes, labels, n):
    """Both sums of a picture before they are divided: positive, negative."""
    positive = 0.0
    for box, label in zip(boxes, labels, strict=True):
        bag = bag_of(box, anchors, valid, n)
        p_class, p_box = probabilities(logits[bag], deltas[bag], anchors[bag], box, label)
        positive -= 0.5 * np.log(mean_max(p_class * p_box)[0])
    r = sigmoid(logits) * (1 - box_probability(predicted, valid, boxes, labels, logits.shape[1]))
    negative = 0.5 * (-(r**2) * np.log(1 - r))[valid].sum()
    return positive, negative
