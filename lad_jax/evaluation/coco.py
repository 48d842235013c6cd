"""COCO metrics of detections, computed by pycocotools, and the files that hold them."""

import dataclasses
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lad_jax.evaluation.matched import MOST, SIZES, Matched, mean
from lad_jax.files import write_whole

NO_AP = "no AP: the validation pictures have no object"
"""Text in place of an AP that there is not."""


@dataclasses.dataclass(frozen=True)
class Metrics:
    """COCO metrics in [0, 1]; None where the ground truth has no object to measure (COCO's -1)."""

    overall: dict[str, float | None]
    """The twelve numbers by name (`names_of`)."""
    per_class: dict[str, float | None]
    """AP by class name."""


def names_of(most: int = MOST) -> tuple[str, ...]:
    """COCO's twelve numbers, in its order, where `most` detections of a picture count."""
    return (
        *("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"),
        *("AR_1", "AR_10", f"AR_{most}", "AR_small", "AR_medium", "AR_large"),
    )


def evaluate(
    ground_truth: dict[str, Any],
    results: list[dict[str, Any]],
    class_names: Sequence[str],
    category_ids: Sequence[int],
    *,
    most: int = MOST,
) -> Metrics:
    """COCO's box metrics over the images of the ground truth and the given categories.

    Args:
      ground_truth: COCO annotations: `images`, `annotations`, `categories`. `area` may be absent (width times
        height then), so may `iscrowd`, `ignore` and `info`. Ids may be integers of any size.
      results: COCO results; those of other images are left out. May be empty.
      class_names: names of the categories, for the table per class.
      category_ids: their ids, in the same order.
      most: number of detections of a picture that count, at least 100, which is COCO's.

    Source: pycocotools, the reference of the benchmark.
    """
    matched = Matched(ground_truth, results, category_ids, most).summed()
    precision, recall = matched.precision, matched.recall
    at = {threshold: i for i, threshold in enumerate(matched.params.iouThrs.round(2).tolist())}
    values = [
        *(mean(precision[..., 0]), mean(precision[at[0.5], ..., 0]), mean(precision[at[0.75], ..., 0])),
        *(mean(precision[..., size]) for end, size in SIZES.items() if end),
        *(mean(recall[..., 0, limit]) for limit in range(3)),
        *(mean(recall[..., size, -1]) for end, size in SIZES.items() if end),
    ]
    return Metrics(
        overall=dict(zip(names_of(most), values, strict=True)),
        per_class={name: mean(precision[:, :, k, 0]) for k, name in enumerate(class_names)},
    )


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
    text = json.dumps(results, allow_nan=False)
    write_whole(file, text)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(file.name, text)
    write_whole(file.with_suffix(".zip"), content.getvalue())
    return file.with_suffix(".zip")
