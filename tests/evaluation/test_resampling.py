"""AP on resampled pictures, against COCO's metrics of a data set in which each picture stands as often as drawn."""

from typing import Any

import numpy as np
import pytest

from lad_jax.evaluation.coco import evaluate
from lad_jax.evaluation.resampling import resampled_ap

IDS = (3, 18)
N = 6


def box(rng: np.random.Generator, image_id: int) -> dict[str, Any]:
    bbox = [*rng.uniform(0, 60, 2), *rng.uniform(8, 60, 2)]
    return {"image_id": image_id, "category_id": int(rng.choice(IDS)), "bbox": [float(x) for x in bbox]}


def drawn_data(seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Ground truth of pictures, the last of them without objects, and detections that miss them by a little."""
    rng = np.random.default_rng(seed)
    annotations = [box(rng, image_id) for image_id in range(N - 1) for _ in range(rng.integers(1, 5))]
    near = [{**a, "bbox": (np.array(a["bbox"]) + rng.normal(0, 3, 4)).tolist()} for a in annotations]
    results = [
        {**b, "score": float(rng.uniform())} for b in [*near, *(box(rng, int(rng.integers(N))) for _ in range(8))]
    ]
    truth = {"images": [{"id": i} for i in range(N)], "categories": [{"id": i, "name": str(i)} for i in IDS]}
    return {**truth, "annotations": annotations}, results


def standing_as_often(boxes: list[dict[str, Any]], draw: np.ndarray) -> list[dict[str, Any]]:
    return [{**b, "image_id": place} for place, image_id in enumerate(draw) for b in boxes if b["image_id"] == image_id]


def test_equals_the_evaluation_of_copied_pictures() -> None:
    truth, results = drawn_data(seed=0)
    draws = np.random.default_rng(5).integers(N, size=(8, N))
    ours = resampled_ap(truth, results, IDS, resamples=8, seed=5)
    assert len(np.unique(ours)) > 4
    for draw, ap in zip(draws, ours, strict=True):
        copied = {**truth, "annotations": standing_as_often(truth["annotations"], draw)}
        metrics = evaluate(copied, standing_as_often(results, draw), ["a", "b"], IDS)
        assert ap == pytest.approx(metrics.overall["AP"])


def test_two_networks_are_evaluated_on_the_same_sets() -> None:
    """So that the difference of a network to itself has no spread."""
    truth, results = drawn_data(seed=1)
    first, again = (resampled_ap(truth, results, IDS, resamples=5) for _ in range(2))
    np.testing.assert_array_equal(first, again)
