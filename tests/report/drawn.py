"""A report of drawn pictures and made-up costs, in the form that the page takes: no network, a seed."""

import base64
from typing import Any

import cv2
import numpy as np

CLASSES = ["fish", "jelly <b>", "ray"]
STRIDES = (8, 16, 32, 64, 128)


def make_report(
    seed: int = 0, pictures: int = 3, evaluations: int = 4, objects: int = 6, size: tuple[int, int] = (240, 320)
) -> dict[str, Any]:
    """Two runs: `paa`, assigned by the student, and `colad`, whose costs are of two networks."""
    rng = np.random.default_rng(seed)
    drawn = [make_picture(rng, index, objects, size) for index in range(pictures)]
    return {
        "version": 1,
        "title": "colad against paa",
        "made": "2026-11-26",
        "notes": [f"{pictures} of 190 pictures"],
        "class_names": CLASSES,
        "pictures": drawn,
        "runs": [
            make_run(rng, "paa", ["student"], drawn, evaluations),
            make_run(rng, "colad", ["student", "teacher"], drawn, evaluations),
        ],
    }


def make_picture(rng: np.random.Generator, index: int, objects: int, size: tuple[int, int]) -> dict[str, Any]:
    """A picture with coloured shapes; the last object is a crowd."""
    height, width = size
    pixels = np.clip(np.full((height, width, 3), (180, 160, 120)) + rng.normal(0, 8, (height, width, 3)), 0, 255)
    pixels = pixels.astype(np.uint8)
    rows = []
    for number in range(objects):
        sides = rng.uniform(0.12, 0.4, 2) * min(size)
        corner = rng.uniform(0, 1, 2) * (np.array([width, height]) - sides)
        box = np.concatenate([corner, corner + sides]).round(1)
        centre, half = (int(v) for v in corner + sides / 2), (int(v) for v in sides / 2)
        cv2.ellipse(pixels, tuple(centre), tuple(half), 0, 0, 360, rng.integers(0, 255, 3).tolist(), -1)
        rows.append({"box": box.tolist(), "label": int(rng.integers(len(CLASSES))), "crowd": number == objects - 1})
    jpeg = cv2.imencode(".jpg", pixels)[1].tobytes()
    return {
        "id": 100 + index,
        "name": f"drawn_{index}.jpg",
        "jpeg": "data:image/jpeg;base64," + base64.b64encode(jpeg).decode(),
        "height": height,
        "width": width,
        "levels": [{"stride": s, "rows": -(-height // s), "columns": -(-width // s)} for s in STRIDES],
        "anchor_scale": 8.0,
        "objects": rows,
    }


def make_run(
    rng: np.random.Generator, name: str, networks: list[str], pictures: list[dict[str, Any]], evaluations: int
) -> dict[str, Any]:
    """A run whose costs fall and whose figures rise over the evaluations."""
    steps = np.arange(1, 10 * evaluations + 1) * 10
    share, ceiling = steps / steps[-1], float(rng.uniform(0.3, 0.5))
    curves = {
        "loss": 2 * np.exp(-3 * share) + rng.uniform(0.2, 0.5, len(steps)),
        "positives": 60 + rng.normal(0, 4, len(steps)),
        "learning_rate": 0.01 * np.minimum(1, steps / 50),
    }
    if len(networks) > 1:
        curves["share_taught/teacher"] = 0.8 - 0.5 * share + rng.normal(0, 0.02, len(steps))
    return {
        "name": name,
        "method": "colad" if len(networks) > 1 else "plain",
        "assigner": "paa",
        "networks": networks,
        "costs_from": networks,
        "curves": {
            "AP": {"steps": steps[9::10].tolist(), "values": (ceiling * share[9::10]).tolist()},
            **{key: {"steps": steps.tolist(), "values": values.tolist()} for key, values in curves.items()},
        },
        "evaluations": [
            {
                "step": int(steps[10 * i + 9]),
                "epoch": float(i + 1),
                "overall": {"AP": ceiling * (i + 1) / evaluations, "AP50": 1.5 * ceiling * (i + 1) / evaluations},
                "pictures": [assign_picture(rng, picture, networks, (i + 1) / evaluations) for picture in pictures],
            }
            for i in range(evaluations)
        ],
        "detections": [detect(rng, picture) for picture in pictures],
        "errors": make_errors(rng, pictures),
    }


def assign_picture(
    rng: np.random.Generator, picture: dict[str, Any], networks: list[str], progress: float
) -> dict[str, Any]:
    """Entries by IoU, costs that fall with it, and a threshold between two Gaussians an object; object 1 gets none."""
    prior, owner, iou = candidates(picture)
    common = np.random.default_rng(picture["id"]).normal(0, 0.25, len(iou))  # what every network finds hard
    costs = {n: 2.5 - progress - 1.5 * progress * iou + common + rng.normal(0, 0.1, len(iou)) for n in networks}
    costs = {n: np.maximum(c, 0.05).astype(np.float16).astype(float).round(4) for n, c in costs.items()}
    source = rng.integers(0, len(networks), len(iou))
    used = np.stack([costs[n] for n in networks])[source, np.arange(len(iou))]
    order = np.lexsort((used, owner))
    prior, owner, iou, source, used = (values[order] for values in (prior, owner, iou, source, used))
    costs = {n: c[order] for n, c in costs.items()}
    objects, positive = [], np.zeros(len(prior), bool)
    for number, row in enumerate(picture["objects"]):
        mine = np.flatnonzero(owner == number)
        chosen = mine[: 0 if number == 1 or row["crowd"] else max(1, min(3 + int(rng.integers(7)), len(mine) // 3))]
        positive[chosen] = True
        objects.append(explain(used[mine], used[chosen]))
    return {
        "entries": {"prior": prior.tolist(), "object": owner.tolist(), "iou": iou.round(3).tolist()},
        "costs": {n: c.tolist() for n, c in costs.items()},
        "source": source.tolist() if len(networks) > 1 else None,
        "besides": {},
        "positives": {
            "prior": prior[positive].tolist(),
            "object": owner[positive].tolist(),
            "target": [1.0] * int(positive.sum()),
        },
        "objects": objects,
        "alone": {n: assign_alone(owner, prior, c, [row["n_positive"] for row in objects]) for n, c in costs.items()},
    }


def assign_alone(owner: np.ndarray, prior: np.ndarray, costs: np.ndarray, numbers: list[int]) -> dict[str, Any]:
    """A verdict by one network's costs: the cheapest of each object, one fewer than all networks together gave it."""
    positives: dict[str, list[Any]] = {"prior": [], "object": [], "target": []}
    objects = []
    for number, count in enumerate(numbers):
        mine = np.flatnonzero(owner == number)
        mine = mine[np.argsort(costs[mine], kind="stable")]
        chosen = mine[: max(0, count - 1)]
        positives["prior"] += prior[chosen].tolist()
        positives["object"] += [number] * len(chosen)
        positives["target"] += [1.0] * len(chosen)
        objects.append(explain(costs[mine], costs[chosen]))
    return {"positives": positives, "objects": objects}


def candidates(picture: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Priors, their objects and IoUs: each prior is a candidate of the object that it overlaps most, from 0.1."""
    grids = [np.mgrid[: level["rows"], : level["columns"]][::-1].reshape(2, -1).T for level in picture["levels"]]
    strides = np.repeat([level["stride"] for level in picture["levels"]], [len(grid) for grid in grids])[:, None]
    centres, half = np.concatenate(grids) * strides, strides * picture["anchor_scale"] / 2
    anchors = np.concatenate([centres - half, centres + half], axis=1)[:, None]
    boxes = np.array([row["box"] for row in picture["objects"]])[None]
    sides = np.minimum(anchors[..., 2:], boxes[..., 2:]) - np.maximum(anchors[..., :2], boxes[..., :2])
    common = np.clip(sides, 0, None).prod(-1)
    areas = [(b[..., 2:] - b[..., :2]).prod(-1) for b in (anchors, boxes)]
    overlap = common / (areas[0] + areas[1] - common)
    overlap[:, [row["crowd"] for row in picture["objects"]]] = 0
    best, owner = overlap.max(1), overlap.argmax(1)
    kept = np.flatnonzero(best >= 0.1)
    return kept, owner[kept], best[kept]


def explain(costs: np.ndarray, chosen: np.ndarray) -> dict[str, Any]:
    """What an assigner says of one object: costs of its candidates, and of its positives."""
    row: dict[str, Any] = {"threshold": None, "n_positive": len(chosen), "n_candidates": len(costs), "explanation": {}}
    if len(chosen):
        row["threshold"] = float(chosen.max())
    if len(costs) > 1:
        low, high = np.split(costs, [max(1, len(costs) // 3)])
        row["explanation"] = {
            "means": [float(low.mean()), float(high.mean())],
            "variances": [float(low.var() + 0.01), float(high.var() + 0.01)],
            "weights": [len(low) / len(costs), len(high) / len(costs)],
            "iterations": 18,
        }
    return row


def detect(rng: np.random.Generator, picture: dict[str, Any]) -> list[dict[str, Any]]:
    """Boxes near most objects, one of a wrong class, one of nothing."""
    found = [
        {
            "box": (np.array(row["box"]) + rng.normal(0, 1, 4)).round(1).tolist(),
            "label": (row["label"] + (index == 2)) % len(CLASSES),
            "score": round(float(rng.uniform(0.35, 0.95)), 3),
        }
        for index, row in enumerate(picture["objects"])
        if index % 4 != 3
    ]
    stray = [picture["width"] * 0.1, picture["height"] * 0.6, picture["width"] * 0.3, picture["height"] * 0.9]
    return sorted([*found, {"box": stray, "label": 0, "score": 0.46}], key=lambda row: -row["score"])


def make_errors(rng: np.random.Generator, pictures: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures of an evaluation: plausible, not computed."""
    hits = [60 - 8 * i for i in range(len(CLASSES))]
    counts = rng.integers(0, 9, (len(hits) + 1, len(hits) + 1)) + np.diag([*hits, 0])
    counts[-1, -1] = 0
    worst = [
        {"id": row["id"], "name": row["name"], "misses": len(pictures) - i, "false_positives": 2, "picture": i}
        for i, row in enumerate(pictures)
    ]
    names = ["AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"]
    kinds = ["classification", "localisation", "both", "duplicate", "background", "missed"]
    return {
        "threshold": {"best": 0.42, "f1": 0.61},
        "overall": dict(zip(names, rng.uniform(0.1, 0.6, 6).round(3).tolist(), strict=True)),
        "classes": [make_class(rng, name) for name in CLASSES],
        "confusion": {"names": [*CLASSES, "background"], "counts": counts.tolist()},
        "tide": dict(zip(kinds, rng.uniform(0, 0.1, 6).round(4).tolist(), strict=True)),
        "worst": [*worst, {"id": 7, "name": "elsewhere.jpg", "misses": 1, "false_positives": 0, "picture": None}],
    }


def make_class(rng: np.random.Generator, name: str) -> dict[str, Any]:
    """A precision-recall curve by falling score, and the score at which its F1 is highest."""
    scores = np.linspace(0.98, 0.02, 120)
    recall = rng.uniform(0.6, 0.9) * np.cumsum(np.linspace(2, 0, 120)) / 120
    precision = 0.98 - rng.uniform(0.5, 0.8) * np.linspace(0, 1, 120) ** 2
    f1 = 2 * precision * recall / (precision + recall)
    curve = {"scores": scores.round(4), "precision": precision.round(4), "recall": recall.round(4)}
    return {
        "name": name,
        "AP": 0.3,
        "AP50": float((precision[1:] * np.diff(recall)).sum().round(3)),
        "recall": float(recall[-1].round(3)),
        "best_threshold": float(scores[f1.argmax()].round(4)),
        "f1": float(f1.max().round(4)),
        "curve": {key: values.tolist() for key, values in curve.items()},
    }
