"""AP on resampled pictures: how much of it hangs on which pictures the evaluation happens to have."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from pycocotools.cocoeval import COCOeval

from lad_jax.evaluation.coco import index


def resampled_ap(
    ground_truth: dict[str, Any],
    results: list[dict[str, Any]],
    category_ids: Sequence[int],
    *,
    resamples: int = 200,
    seed: int = 0,
) -> Float[np.ndarray, " resamples"]:
    """COCO's AP on sets of as many pictures, drawn with replacement; NaN where a set has no object.

    Detections of two networks that are given the same seed are evaluated on the same sets, so that their APs can be
    subtracted one by one.

    Args:
      ground_truth: COCO annotations, as for `evaluate`.
      results: COCO results.
      category_ids: ids of the categories that count.
      resamples: number of sets.
      seed: seed of the draws.
    """
    evaluated = _evaluated(ground_truth, results, category_ids)
    n_pictures = len(evaluated.params.imgIds)
    # Matches of each picture, category by category.
    matches = np.fromiter(evaluated.evalImgs, object).reshape(-1, n_pictures)
    draws = np.random.default_rng(seed).integers(n_pictures, size=(resamples, n_pictures))
    return np.array([_ap(evaluated, matches[:, draw]) for draw in draws])


def _evaluated(ground_truth: dict[str, Any], results: list[dict[str, Any]], category_ids: Sequence[int]) -> COCOeval:
    """pycocotools' evaluation, matched picture by picture, of all sizes and 100 detections a picture."""
    truth, detections = index(ground_truth, ground_truth["annotations"]), index(ground_truth, results)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluated = COCOeval(truth, detections, "bbox")
        evaluated.params.catIds = sorted(category_ids)
        evaluated.params.maxDets = evaluated.params.maxDets[-1:]
        evaluated.params.areaRng = evaluated.params.areaRng[:1]
        evaluated.params.areaRngLbl = evaluated.params.areaRngLbl[:1]
        evaluated.evaluate()
    return evaluated


def _ap(evaluated: COCOeval, matches: np.ndarray) -> float:
    """AP of matched pictures, some of them several times."""
    evaluated.evalImgs = matches.ravel().tolist()
    with contextlib.redirect_stdout(io.StringIO()):
        evaluated.accumulate()
    precision = evaluated.eval["precision"]
    known = precision[precision > -1]
    return float(known.mean()) if known.size else np.nan
