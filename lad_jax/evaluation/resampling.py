"""AP on resampled pictures: how much of it hangs on which pictures the evaluation happens to have."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from lad_jax.evaluation.matched import MOST, Matched, mean


def resampled_ap(
    ground_truth: dict[str, Any],
    results: list[dict[str, Any]],
    category_ids: Sequence[int],
    *,
    most: int = MOST,
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
      most: number of detections of a picture that count.
      resamples: number of sets.
      seed: seed of the draws.
    """
    matched = Matched(ground_truth, results, category_ids, most, sizes=1)
    n_pictures = len(matched.params.imgIds)
    # Matches of each picture, category by category.
    matches = np.fromiter(matched.evalImgs, object).reshape(-1, n_pictures)
    draws = np.random.default_rng(seed).integers(n_pictures, size=(resamples, n_pictures))
    aps = [mean(matched.summed(matches[:, draw].ravel().tolist()).precision) for draw in draws]
    return np.array(aps, np.float64)
