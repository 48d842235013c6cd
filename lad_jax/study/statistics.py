"""Statistics of paired runs: the difference of two conditions over seeds, and over the pictures of the evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy import stats

CONFIDENCE = 0.95
Verdict = Literal["better", "worse", "open"]


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences, and how sure it is."""

    mean: float
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    p: float
    """Probability of a mean at least as far from 0 where there is no difference."""
    wins: int
    """Number of pairs whose difference is positive."""
    n: int


def difference(pairs: Float[np.ndarray, "n 2"]) -> Difference:
    """Mean difference of pairs (condition, baseline), with its interval by Student's t.

    mean ± t(0.975, n - 1) s / √n, s being the standard deviation of the differences.

    Raises:
      ValueError: there are fewer than two pairs, which have no spread.
    """
    n = len(pairs)
    if n < 2:
        raise ValueError(f"{n} pair(s) have no spread")
    differences = pairs[:, 0] - pairs[:, 1]
    mean, error = differences.mean(), differences.std(ddof=1) / np.sqrt(n)
    reach = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * error
    p = 2 * stats.t.sf(abs(mean) / error, n - 1) if error > 0 else float(mean == 0)
    wins = int((differences > 0).sum())
    return Difference(float(mean), float(mean - reach), float(mean + reach), float(p), wins, n)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction of the p-values of comparisons that are made together.

    The i-th smallest of m is multiplied by m - i, none is less than one before it, and none is above 1: with these, the
    probability that any comparison without a difference is called one stays below the level.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, least = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = least
    return corrected


def verdict(difference: Difference, corrected_p: float) -> Verdict:
    """Word for a difference: "open" unless its corrected p-value, and so its interval too, speaks against none."""
    if corrected_p > 1 - CONFIDENCE:
        return "open"
    return "better" if difference.mean > 0 else "worse"


def over_pictures(resampled: Float[np.ndarray, "n 2 resamples"]) -> tuple[float, float]:
    """Interval of the mean difference over resampled pictures: percentiles of a bootstrap, for the seeds at hand.

    Args:
      resampled: AP of condition and baseline by seed, on the same resampled pictures; NaN where they have no object.
    """
    means = (resampled[:, 0] - resampled[:, 1]).mean(axis=0)
    low, high = np.nanquantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
