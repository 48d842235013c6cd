"""COCO metrics of detections, computed by pycocotools, and the files that hold them."""

import contextlib
import dataclasses
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from lad_jax.files import write_whole

NAMES = (
    *("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"),
    *("AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large"),
)
"""COCO's twelve numbers, in its order."""


@dataclasses.dataclass(frozen=True)
class Metrics:
    """COCO metrics in [0, 1]; None where the ground truth has no object to measure (COCO's -1)."""

    overall: dict[str, float | None]
    """The twelve numbers by name."""
    per_class: dict[str, float | None]
    """AP by class name."""


def evaluate(
    ground_truth: dict[str, Any],
    results: list[dict[str, Any]],
    class_names: Sequence[str],
    category_ids: Sequence[int],
) -> Metrics:
    """COCO's box metrics over the images of the ground truth and the given categories.

    Args:
      ground_truth: COCO annotations: `images`, `annotations`, `categories`. `area` may be absent (width times
        height then), so may `iscrowd` and `info`.
      results: COCO results; those of other images are left out. May be empty.
      class_names: names of the categories, for the table per class.
      category_ids: their ids, in the same order.

    Source: pycocotools, the reference of the benchmark.
    """
    truth, detections = index(ground_truth, ground_truth["annotations"]), index(ground_truth, results)
    with contextlib.redirect_stdout(io.StringIO()):
        run = COCOeval(truth, detections, "bbox")
        run.params.catIds = sorted(category_ids)
        run.evaluate()
        run.accumulate()
        run.summarize()
    # Axes: IoU threshold, recall, category, object size (0 = all), detections per image (-1 = most).
    precision = run.eval["precision"][:, :, :, 0, -1]
    position = {category: k for k, category in enumerate(sorted(category_ids))}
    return Metrics(
        overall=dict(zip(NAMES, map(_known, run.stats), strict=True)),
        per_class={
            name: _known(precision[:, :, position[category]].mean())
            for name, category in zip(class_names, category_ids, strict=True)
        },
    )


def format_table(metrics: Metrics) -> str:
    """The metrics in percent as text: the twelve numbers, then AP per class; "-" where there is nothing to measure."""
    return "\n".join([*_columns(metrics.overall, 6), "", "AP per class", *_columns(metrics.per_class, 4)])


def write_metrics(workdir: Path, metrics: Mapping[str, Metrics]) -> None:
    """Write `metrics.json`: {"overall": {...}, "per_class": {...}} by network, null for nothing to measure."""
    values = {network: dataclasses.asdict(m) for network, m in metrics.items()}
    write_whole(workdir / "metrics.json", json.dumps(values, indent=2, allow_nan=False) + "\n")


def write_detections(workdir: Path, results: list[dict[str, Any]]) -> None:
    """Write `detections.json` in COCO's results format, as its evaluation server takes it."""
    write_whole(workdir / "detections.json", json.dumps(results, allow_nan=False))


def write_submission(workdir: Path, results: list[dict[str, Any]]) -> Path:
    """Write the detections on test-dev as COCO's server takes them: named by its rule, and alone in a zip.

    Returns:
      The zip, `detections_test-dev2017_NAME_results.zip`, NAME being that of the workdir; the JSON lies beside it.
    """
    file = workdir / f"detections_test-dev2017_{workdir.resolve().name}_results.json"
    file.write_text(json.dumps(results, allow_nan=False))
    archive = file.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as content:
        content.write(file, file.name)
    return archive


def index(ground_truth: dict[str, Any], boxes: list[dict[str, Any]]) -> COCO:
    """pycocotools' index of `boxes`, annotations or results, on the images of the ground truth.

    The boxes are copied, since pycocotools writes into them, and numbered from 1, since its matching takes the
    id 0 for "not matched". Its `loadRes` does the same for results, but fails on an empty list.
    """
    known = {image["id"] for image in ground_truth["images"]}
    kept = (box for box in boxes if box["image_id"] in known)
    view = COCO()
    view.dataset = {
        "images": ground_truth["images"],
        "categories": ground_truth["categories"],
        "annotations": [
            {"area": box["bbox"][2] * box["bbox"][3], "iscrowd": 0, **box, "id": number}
            for number, box in enumerate(kept, start=1)
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        view.createIndex()
    return view


def _known(value: float) -> float | None:
    """The metric, or None for COCO's -1: no object to measure."""
    return float(value) if value > -1 else None


def _columns(values: dict[str, float | None], per_line: int) -> list[str]:
    """Lines of `name value` cells, values in percent."""
    width = max(map(len, values), default=0)
    cells = [f"{name:<{width}} {'-' if v is None else f'{100 * v:.1f}':>5}" for name, v in values.items()]
    return ["   ".join(cells[i : i + per_line]) for i in range(0, len(cells), per_line)]
