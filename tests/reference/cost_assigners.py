"""Literal twins of the assigners that predictions decide (assigners 5 to 10)."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from tests.reference.paa import focal, giou
from tests.reference.picture import (
    BACKGROUND,
    cut,
    distance_inside,
    iou_matrix,
    on_all_priors,
    restricted,
    smallest,
    window,
)
from tests.reference.static_assigners import max_iou

SMALLEST_FLOAT_STEP = 1.1920929e-07
MAL_FRACTIONS = (0, 0.25, 0.5, 0.75, 1)


def spread(picture, keep, fills, values):
    """Values of the valid priors (the last axis) among all priors, by name."""
    return {name: on_all_priors(values[name], keep, len(picture.valid), fill) for name, fill in fills.items()}


def dynamic_k(cost, iou, eligible, largest):
    """The greedy partition of SimOTA: answer, sums of IoUs and counts."""
    n_objects, n_priors = cost.shape
    assigned = np.full(n_priors, BACKGROUND)
    among = np.flatnonzero(eligible)
    claims, sums, counts = np.zeros(cost.shape, bool), np.zeros(n_objects), np.zeros(n_objects, int)
    for g in range(n_objects):
        sums[g] = np.sort(iou[g, among])[::-1][:largest].sum()
        counts[g] = max(1, int(np.floor(sums[g])))
        claims[g, among[smallest(cost[g, among], counts[g])]] = True
    for a in range(n_priors):
        claimants = np.flatnonzero(claims[:, a])
        if len(claimants) == 1:
            assigned[a] = claimants[0]
        elif len(claimants) > 1:
            assigned[a] = cost[:, a].argmin()
    return assigned, sums, counts


def simota_form(picture, *, radius, in_box, penalty, epsilon, objectness):
    """SimOTA in one of its two forms."""
    view, keep = restricted(picture)
    box_term = iou_matrix(view.boxes, view.predicted)
    if objectness:
        log_p = (view.log_p - np.logaddexp(0, -view.quality)[:, None]) / 2
        log_not_p = np.log1p(-np.exp(log_p))
    else:
        log_p, log_not_p = view.log_p, view.log_not_p
    log_p, log_not_p = np.maximum(log_p, -100), np.maximum(log_not_p, -100)
    eligible, allowed, cost = np.zeros(len(keep), bool), [], []
    for g, (box, label) in enumerate(zip(view.boxes, view.labels, strict=True)):
        inside = distance_inside(view.points, box) > 0
        near = distance_inside(view.points, window(box, radius, view.stride)) > 0
        eligible |= (inside | near) if in_box else near
        allowed.append(inside & near if in_box else near)
        others = np.delete(log_not_p, label, axis=1).sum(axis=1)
        cost.append(-log_p[:, label] - others - 3 * np.log(box_term[g] + epsilon) + penalty * ~allowed[g])
    cost = np.where(eligible, cost, np.inf)
    return by_counts(picture, keep, *dynamic_k(cost, box_term, eligible, 10), cost, box_term, eligible) | {
        "in_box_and_centre": on_all_priors(allowed, keep, len(picture.valid), False)
    }


def by_counts(picture, keep, assigned, sums, counts, cost, iou, eligible):
    """The arrays of an assigner with dynamic counts, among all priors."""
    matched = np.where(assigned >= 0, iou[np.maximum(assigned, 0), np.arange(len(keep))], 0)
    values = {"cost": cost, "iou": np.where(eligible, iou, -1), "eligible": eligible}
    fills = {"cost": np.inf, "iou": -1, "eligible": False}
    return {
        "assigned": in_full(picture, keep, assigned),
        "matched_iou": on_all_priors(matched, keep, len(picture.valid), 0),
        "iou_sum": sums,
        "dynamic_k": counts,
        **spread(picture, keep, fills, values),
    }


def in_full(picture, keep, assigned):
    """The answer among all priors."""
    full = picture.nothing_assigned()
    full[keep] = assigned
    return full


def simota(picture):
    """SimOTA: M's form plain, Y's with prefix."""
    if len(picture.boxes) == 0:
        return {name: picture.nothing_assigned() for name in ("assigned", "yolox_assigned")}
    plain = simota_form(picture, radius=2.5, in_box=True, penalty=1e5, epsilon=1e-7, objectness=False)
    yolox = simota_form(picture, radius=1.5, in_box=False, penalty=1e6, epsilon=1e-8, objectness=True)
    return plain | {f"yolox_{name}": value for name, value in yolox.items()}


def sinkhorn(cost, supply, demand, epsilon=0.1, rounds=50):
    """The transport plan after some rounds in logarithms, from potentials of 1."""
    u, v = np.ones(len(supply)), np.ones(len(demand))

    def exponent():
        return (-cost + u[:, None] + v) / epsilon

    for _ in range(rounds):
        v = epsilon * (np.log(demand + 1e-8) - np.logaddexp.reduce(exponent(), axis=0)) + v
        u = epsilon * (np.log(supply + 1e-8) - np.logaddexp.reduce(exponent(), axis=1)) + u
    return np.exp(exponent())


def ota(picture):
    """OTA; an object without an allowed prior stays in the transport at its penalty."""
    if len(picture.boxes) == 0:
        return {"assigned": picture.nothing_assigned()}
    view, keep = restricted(picture)
    iou = iou_matrix(view.boxes, view.predicted, SMALLEST_FLOAT_STEP)
    classes = np.arange(view.logits.shape[1])
    allowed, cost, supply = [], [], []
    for g, (box, label) in enumerate(zip(view.boxes, view.labels, strict=True)):
        in_window = distance_inside(view.points, cut(window(box, 2.5, view.stride), box)) > 0
        allowed.append((distance_inside(view.points, box) > 0.01) & in_window)
        classification = focal(view.logits, np.broadcast_to(classes == label, view.logits.shape)).sum(axis=1)
        location = -np.log(np.maximum(iou[g], SMALLEST_FLOAT_STEP))
        cost.append(classification + 1.5 * location + 1e6 * ~allowed[g])
        supply.append(max(1, np.floor(np.sort(iou[g] * allowed[g])[::-1][:20].sum())))
    supply.append(len(keep) - sum(supply))
    background = focal(view.logits, np.zeros(view.logits.shape, bool)).sum(axis=1)
    plan = sinkhorn(np.array([*cost, background]), np.array(supply), np.ones(len(keep)))
    quotient = plan / plan.max(axis=1, keepdims=True)
    row = quotient.argmax(axis=0)
    ordered = np.sort(quotient, axis=0)
    best = ordered[-1]
    values = {"allowed": allowed, "cost": cost, "iou": iou, "background_cost": background}
    values |= {"plan_column_sum": plan.sum(axis=0), "plan_best": best, "plan_second": ordered[-2]}
    fills = {"allowed": False, "cost": np.inf, "iou": -1, "background_cost": np.inf}
    fills |= dict.fromkeys(("plan_column_sum", "plan_best", "plan_second"), 0)
    return {
        "assigned": in_full(picture, keep, np.where(row < len(view.boxes), row, BACKGROUND)),
        "supply": np.array(supply),
        "plan_row_sum": plan.sum(axis=1),
        "plan_row_max": plan.max(axis=1),
        "plan_best_float64": on_all_priors(best, keep, len(picture.valid), 0),
        **spread(picture, keep, fills, values),
    }


def tal(picture, top=13):
    """TAL with its soft target."""
    n = len(picture.valid)
    if len(picture.boxes) == 0:
        zeros = {name: np.zeros(n) for name in ("target", "metric_of_assigned")}
        return {"assigned": picture.nothing_assigned(), "weight": picture.valid.astype(float), **zeros}
    view, keep = restricted(picture)
    iou = iou_matrix(view.boxes, view.predicted)
    metric = view.p[:, view.labels].T * iou**6
    candidate, positive, claims = [], [], np.zeros(metric.shape, bool)
    for g, box in enumerate(view.boxes):
        candidate.append(smallest(-metric[g], top))
        chosen = view.points[candidate[g]]
        positive.append((metric[g, candidate[g]] > 0) & (distance_inside(chosen, box) > 0.01))
        claims[g, candidate[g][positive[g]]] = True
    assigned, of_assigned, target = np.full(len(keep), BACKGROUND), np.zeros(len(keep)), np.zeros(len(keep))
    for a in np.flatnonzero(claims.any(axis=0)):
        assigned[a] = np.where(claims[:, a], iou[:, a], -1).argmax()
        of_assigned[a] = metric[assigned[a], a]
    for g in range(len(view.boxes)):
        mine = np.flatnonzero(assigned == g)
        if len(mine):
            target[mine] = metric[g, mine] / (metric[g, mine].max() + 1e-7) * iou[g, mine].max()
    values = {"metric": metric, "iou": iou, "metric_of_assigned": of_assigned, "target": target}
    return {
        "assigned": in_full(picture, keep, assigned),
        "candidate": keep[np.array(candidate)],
        "positive": np.array(positive),
        "weight": picture.valid.astype(float),
        **spread(picture, keep, {"metric": -1, "iou": -1, "metric_of_assigned": 0, "target": 0}, values),
    }


def hungarian_parts(picture):
    """Class, L1 and GIoU parts [G,A,3] of the cost, weights included."""
    p = picture.p
    height, width = picture.image_hw
    size = np.array([width, height, width, height])
    rows = []
    for box, label in zip(picture.boxes, picture.labels, strict=True):
        own = p[:, label]
        present = -0.25 * (1 - own) ** 2 * np.log(own + 1e-12)
        absent = -0.75 * own**2 * np.log(1 - own + 1e-12)
        distance = np.abs(centre_size(picture.predicted) - centre_size(box[None])) / size
        parts = 2 * (present - absent), 5 * distance.sum(axis=1), -2 * giou(picture.predicted, box[None])
        rows.append(np.stack(parts, axis=1))
    return np.array(rows).reshape(len(picture.boxes), len(p), 3)


def centre_size(boxes):
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def hungarian(picture):
    """One-to-one matching of least total cost."""
    if len(picture.boxes) == 0:
        return {"assigned": picture.nothing_assigned()}
    view, keep = restricted(picture)
    parts = hungarian_parts(view)
    cost = parts.sum(axis=-1)
    rows, columns = linear_sum_assignment(cost)
    assigned = np.full(len(keep), BACKGROUND)
    assigned[columns] = rows
    return {
        "assigned": in_full(picture, keep, assigned),
        "cost": on_all_priors(cost, keep, len(picture.valid), np.inf),
        "cost_parts_of_assigned": parts[rows, columns],
        "total_cost": cost[rows, columns].sum(),
    }


def smooth(z):
    """The smooth L1 of 9.2, its weight of 0.75 left out."""
    return np.where(np.abs(z) < 0.11, z**2 / 0.22, np.abs(z) - 0.055)


def encode(anchors, box):
    """The deltas of a box on each anchor."""
    of_anchor, of_box = centre_size(anchors), centre_size(box[None])
    place = (of_box[:, :2] - of_anchor[:, :2]) / of_anchor[:, 2:] / 0.1
    return np.concatenate([place, np.log(of_box[:, 2:] / of_anchor[:, 2:]) / 0.2], axis=1)


def mal(picture):
    """MAL's paper form at five fractions of the training; the rest of a bag is background."""
    bag = max_iou(picture, positive=0.5, negative=0.5)["assigned"]
    score = np.zeros(len(bag))
    answers = np.repeat(picture.nothing_assigned()[None], len(MAL_FRACTIONS), axis=0)
    for g, (box, label) in enumerate(zip(picture.boxes, picture.labels, strict=True)):
        mine = np.flatnonzero(bag == g)
        distance = smooth(picture.deltas[mine] - encode(picture.anchors[mine], box)).sum(axis=1)
        score[mine] = picture.p[mine, label] * np.exp(-0.75 * distance)
        for i, fraction in enumerate(MAL_FRACTIONS):
            count = min(len(mine), int(np.floor(len(mine) * (1 - fraction))) + 1)
            answers[i, mine[smallest(-score[mine], count)]] = g
    return {
        "paper_fraction": np.array(MAL_FRACTIONS),
        "paper_bag": bag,
        "paper_score": score,
        "paper_assigned": answers,
        "assigned": answers[2],
    }


def dynamic_soft_label(picture):
    """RTMDet's dynamic soft label assigner."""
    if len(picture.boxes) == 0:
        return {"assigned": picture.nothing_assigned()}
    view, keep = restricted(picture)
    iou = iou_matrix(view.boxes, view.predicted)
    eligible, cost = np.zeros(len(keep), bool), []
    for g, (box, label) in enumerate(zip(view.boxes, view.labels, strict=True)):
        eligible |= distance_inside(view.points, box) > 0
        target = np.zeros(view.logits.shape)
        target[:, label] = iou[g]
        entropy = -target * view.log_p - (1 - target) * view.log_not_p
        classification = ((target - view.p) ** 2 * entropy).sum(axis=1)
        distance = np.linalg.norm(view.points - (box[:2] + box[2:]) / 2, axis=1) / view.stride
        cost.append(classification - 3 * np.log(iou[g] + 1e-7) + 10 ** (distance - 3))
    cost = np.where(eligible, cost, np.inf)
    return by_counts(picture, keep, *dynamic_k(cost, iou, eligible, 13), cost, iou, eligible)
