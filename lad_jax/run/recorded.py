"""What a recording keeps of a picture: of its decision the entries that matter, and of the picture a JPEG."""

from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from lad_jax.distill import Decision, Verdict, known_costs, without_padding
from lad_jax.run.recording import Arrays

ALONE = "alone/"
"""Beginning of the names of arrays that tell of one network's costs alone; its name follows."""
OF_OBJECT, OF_PICTURE = 200, 3072
"""Cheapest entries of a table of pairs that are kept: of an object, and about so many of a picture."""


def decision_arrays(decision: Decision, n_objects: int, costs_from: tuple[str, ...]) -> Arrays:
    """The arrays of one picture's decision (see `recording.Arrays`), but for detections.

    Kept are all entries of a table of [A]; of a table of [G, A] the cheapest of each object; and every positive.

    Args:
      decision: on the host.
      n_objects: number of objects, without rows that only pad.
      costs_from: networks whose costs assign.
    """
    decision = without_padding(decision, n_objects)
    costs = {name: known_costs(table) for name, table in decision.tables.items()}
    deciding = np.choose(np.maximum(decision.source, 0), [costs[name] for name in costs_from])
    objects = np.asarray(decision.tables[costs_from[0]].object)
    verdicts = [decision.verdict, *decision.alone.values()]
    at = _kept(objects, deciding, [np.asarray(verdict.assignment.object) for verdict in verdicts])
    entries = {f"cost/{name}": _half(cost[at]) for name, cost in costs.items()}
    of_entries = decision.verdict.explanation.entries
    entries |= {f"besides/{n}": np.asarray(x, np.float32)[at] for n, x in of_entries.items()}
    arrays = {
        "prior": at[-1].astype(np.uint32),
        "object": (objects[at] if objects.ndim == 1 else at[0]).astype(np.uint16),
        "source": np.asarray(decision.source)[at].astype(np.int8),
        **entries,
        "n_candidates": np.bincount(objects[objects >= 0], minlength=n_objects).astype(np.uint32),
        **_verdict_arrays(decision.verdict, deciding, n_objects),
    }
    for name, verdict in decision.alone.items():
        of_one = _verdict_arrays(verdict, costs[name], n_objects)
        arrays |= {f"{ALONE}{name}/{key}": values for key, values in of_one.items()}
    return arrays


def _verdict_arrays(verdict: Verdict, cost: Float[np.ndarray, "*E"], n_objects: int) -> Arrays:
    """Positives of a verdict by such costs, and its reasons by object."""
    owner, target = np.asarray(verdict.assignment.object), np.asarray(verdict.assignment.target)
    positive = np.flatnonzero(owner >= 0)
    of_positive = cost[positive] if cost.ndim == 1 else cost[owner[positive], positive]
    return {
        "positive/prior": positive.astype(np.uint32),
        "positive/object": owner[positive].astype(np.uint16),
        "positive/target": target[positive].astype(np.float32),
        "threshold": _largest(of_positive, owner[positive], n_objects),
        **{f"reason/{name}": np.asarray(x, np.float32) for name, x in verdict.explanation.objects.items()},
    }


def _kept(
    objects: Int[np.ndarray, "*E"], cost: Float[np.ndarray, "*E"], owners: list[Int[np.ndarray, " A"]]
) -> tuple[np.ndarray, ...]:
    """Indices of the entries that are kept, by object and cost; `owners`: the object of each positive, by verdict."""
    if objects.ndim == 1:
        priors = np.flatnonzero((objects >= 0) | np.any([owner >= 0 for owner in owners], axis=0))
        return (priors[np.argsort(objects[priors], kind="stable")],)
    known = np.where(objects >= 0, np.nan_to_num(cost, nan=np.inf), np.inf)
    kept = (objects >= 0) & _among_cheapest(known, min(OF_OBJECT, max(1, OF_PICTURE // max(1, len(objects)))))
    for owner in owners:
        positive = np.flatnonzero(owner >= 0)
        kept[owner[positive], positive] = True
    rows, priors = np.nonzero(kept)
    by_cost = np.lexsort((known[rows, priors], rows))
    return rows[by_cost], priors[by_cost]


def _among_cheapest(cost: Float[np.ndarray, "G A"], most: int) -> Bool[np.ndarray, "G A"]:
    """Whether an entry is among the cheapest of its row, at most so many; of a tie that would be more, none is.

    Costs tie where they are as large as they can be: of boxes that do not overlap. Any choice among them would mislead.
    """
    if cost.shape[1] <= most:
        return np.ones_like(cost, bool)
    next_cost = np.partition(cost, most, axis=1)[:, most : most + 1]
    return cost < next_cost


def _half(cost: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Costs in float16; NaN for what it does not hold."""
    with np.errstate(over="ignore"):
        half = cost.astype(np.float16)
    return np.where(np.isinf(half), np.float16(np.nan), half)


def _largest(costs: Float[np.ndarray, " P"], owner: Int[np.ndarray, " P"], n_objects: int) -> Float[np.ndarray, " G"]:
    """The largest cost of each object's positives; NaN for none."""
    largest = np.full(n_objects, -np.inf, np.float32)
    np.fmax.at(largest, owner, costs)
    return np.where(np.isinf(largest), np.float32(np.nan), largest)


def detection_arrays(found: list[dict[str, Any]], labels: dict[Any, int], scale: Float[np.ndarray, "2"]) -> Arrays:
    """The arrays of one picture's detections (see `recording.Arrays`).

    Args:
      found: in COCO's results format, in pixels of the original picture.
      labels: class index by category id.
      scale: ratio resized / original, for x and y.
    """
    xywh = np.array([d["bbox"] for d in found], np.float32).reshape(-1, 4)
    boxes = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1) * np.tile(scale, 2)[None]
    return {
        "detection/boxes": boxes.astype(np.float32).round(1),
        "detection/labels": np.array([labels[d["category_id"]] for d in found], np.uint16),
        "detection/scores": np.array([d["score"] for d in found], np.float32),
    }


def as_jpeg(image: UInt8[np.ndarray, "h w 3"], quality: int) -> UInt8[np.ndarray, " n"]:
    """The bytes of an RGB picture as a JPEG."""
    return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].ravel()


def as_jpegs(images: list[UInt8[np.ndarray, "_ _ 3"]], at_most: int) -> list[UInt8[np.ndarray, " _"]]:
    """Pictures as JPEGs, at the best quality that takes no more than so many bytes in all, if any does."""
    for quality in (85, 70, 55, 40, 25):
        found = [as_jpeg(image, quality) for image in images]
        if sum(map(len, found)) <= at_most:
            break
    return found
