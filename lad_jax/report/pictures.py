"""The recorded pictures of a report, and what is shown of each at an evaluation, as JSON values."""

import base64
from typing import Any

import cv2
import numpy as np
from jaxtyping import Integer, Shaped

from lad_jax.priors import make_levels, make_priors
from lad_jax.report.recordings import Id, Recording
from lad_jax.run.recorded import ALONE, as_jpegs
from lad_jax.run.recording import Arrays

JPEG_BYTES = 6_000_000
"""Most bytes of the JPEGs of a page, if their quality can be lowered to that."""


_UNKNOWN = (None, [None, None])
"""Reasons that there are not, as those for an object without candidates."""


def make_pictures(run: Recording, ids: list[Id]) -> list[dict[str, Any]]:
    """The pictures with their objects and levels."""
    jpegs = _jpegs([run.scenes[number]["jpeg"] for number in ids])
    return [_picture(run, number, jpeg) for number, jpeg in zip(ids, jpegs, strict=True)]


def _picture(run: Recording, number: Id, jpeg: bytes) -> dict[str, Any]:
    facts, scene = run.facts(number), run.scenes[number]
    levels = make_levels(tuple(facts["canvas"]), tuple(run.about["strides"]))
    shapes = zip(levels.strides, levels.shapes, strict=True)
    objects = zip(plain(scene["boxes"]), scene["labels"].tolist(), scene["crowd"].tolist(), strict=True)
    return {
        "id": number,
        "name": facts["name"],
        "jpeg": f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}",
        "height": facts["size"][0],
        "width": facts["size"][1],
        "levels": [{"stride": stride, "rows": rows, "columns": columns} for stride, (rows, columns) in shapes],
        "anchor_scale": run.about["anchor_scale"],
        "objects": [{"box": box, "label": label, "crowd": crowd} for box, label, crowd in objects],
    }


def _jpegs(recorded: list[np.ndarray]) -> list[bytes]:
    """The recorded JPEGs; made anew at a lower quality where together they are too large."""
    if sum(map(len, recorded)) > JPEG_BYTES:
        decoded: Any = (cv2.imdecode(data, cv2.IMREAD_COLOR) for data in recorded)
        recorded = as_jpegs([image[..., ::-1] for image in decoded], JPEG_BYTES)
    return [data.tobytes() for data in recorded]


def make_evaluated(run: Recording, number: Id, arrays: Arrays) -> dict[str, Any]:
    """What a run has recorded of a picture at an evaluation.

    Args:
      run: the run.
      number: id of the picture.
      arrays: see `recording.Arrays`.
    """
    networks, costs_from = run.about["networks"], run.about["costs_from"]
    costs = np.stack([arrays[f"cost/{name}"] for name in costs_from])
    deciding = costs[np.maximum(arrays["source"], 0), np.arange(costs.shape[1])]
    order = np.lexsort((deciding, arrays["object"]))
    prior, owner = arrays["prior"][order], arrays["object"][order]
    entries = {"prior": prior.tolist(), "object": owner.tolist(), "iou": _ious(run, number, prior, owner)}
    return {
        "entries": entries,
        "costs": {name: plain(arrays[f"cost/{name}"][order]) for name in networks},
        "source": arrays["source"][order].tolist() if len(costs_from) > 1 else None,
        "besides": {name: plain(values[order]) for name, values in _below(arrays, "besides/").items()},
        **_verdict(arrays, arrays["n_candidates"]),
        "alone": {
            name: _verdict(of_one, arrays["n_candidates"])
            for name in networks
            if (of_one := _below(arrays, f"{ALONE}{name}/"))
        },
    }


def make_detections(arrays: Arrays) -> list[dict[str, Any]]:
    """What was detected in a picture."""
    found = zip(*(plain(arrays[f"detection/{key}"]) for key in ("boxes", "labels", "scores")), strict=True)
    return [{"box": box, "label": label, "score": score} for box, label, score in found]


def _verdict(arrays: Arrays, n_candidates: Integer[np.ndarray, " n"]) -> dict[str, Any]:
    """The positives, and of each object its threshold, numbers and reasons."""
    positives = np.bincount(arrays["positive/object"], minlength=len(n_candidates)).tolist()
    reasons = {name: plain(values) for name, values in _below(arrays, "reason/").items()}
    columns = zip(plain(arrays["threshold"]), positives, n_candidates.tolist(), strict=True)
    return {
        "positives": {key: plain(arrays[f"positive/{key}"]) for key in ("prior", "object", "target")},
        "objects": [
            {
                "threshold": threshold,
                "n_positive": n_positive,
                "n_candidates": n,
                "explanation": {name: values[g] for name, values in reasons.items() if values[g] not in _UNKNOWN},
            }
            for g, (threshold, n_positive, n) in enumerate(columns)
        ],
    }


def _below(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays whose names begin so, by the rest of their names."""
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}


def _ious(
    run: Recording, number: Id, prior: Integer[np.ndarray, " N"], owner: Integer[np.ndarray, " N"]
) -> list[float]:
    """IoU of each entry's anchor with its object, to three decimals."""
    canvas, strides = tuple(run.facts(number)["canvas"]), tuple(run.about["strides"])
    anchors = np.asarray(make_priors(canvas, strides, run.about["anchor_scale"]).boxes)[prior]
    boxes = run.scenes[number]["boxes"][owner]
    sides = np.minimum(anchors[:, 2:], boxes[:, 2:]) - np.maximum(anchors[:, :2], boxes[:, :2])
    common = np.clip(sides, 0, None).prod(axis=1)
    areas = sum((b[:, 2:] - b[:, :2]).prod(axis=1) for b in (anchors, boxes))
    return (common / np.maximum(areas - common, 1e-6)).astype(float).round(3).tolist()


def plain(values: Shaped[np.ndarray, "..."]) -> Any:
    """Nested lists of the shortest numbers that are the same in the array's type; None for what is not finite."""
    if values.dtype.kind != "f":
        return values.tolist()
    texts = zip(values.ravel().astype(str).tolist(), np.isfinite(values).ravel().tolist(), strict=True)
    numbers = np.array([float(text) if finite else None for text, finite in texts], object)
    return numbers.reshape(values.shape).tolist()
