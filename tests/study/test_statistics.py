"""Intervals, corrected p-values and words, against scipy and by draws without a difference."""

import itertools

import numpy as np
import pytest
from scipy import stats

from lad_jax.study.statistics import difference, holm, over_pictures, verdict


def pairs(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """APs of `n` seeds by two conditions that share what a seed brings."""
    rng = np.random.default_rng(seed)
    common = 40 + 2 * rng.standard_normal((n, 1))
    return common + rng.standard_normal((n, 2)) + [shift, 0.0]


@pytest.mark.parametrize("n", [2, 3, 8])
@pytest.mark.parametrize("shift", [0.0, 1.5, -3.0])
def test_the_interval_is_students(n: int, shift: float) -> None:
    values = pairs(n, seed=n, shift=shift)
    ours, theirs = difference(values), stats.ttest_rel(values[:, 0], values[:, 1])
    interval = theirs.confidence_interval(0.95)
    assert ours.mean == pytest.approx(np.mean(values[:, 0]) - np.mean(values[:, 1]))
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high))
    assert ours.p == pytest.approx(theirs.pvalue)
    assert (ours.wins, ours.n) == (sum(a > b for a, b in values), n)


def test_intervals_contain_no_difference_where_there_is_none() -> None:
    """95 % of them: of 400 draws 93 to 97 %, at each number of seeds. A bootstrap of the seeds would be too sure."""
    for n in (3, 8):
        found = [difference(pairs(n, seed=draw)) for draw in range(400)]
        assert 0.93 <= np.mean([d.low <= 0 <= d.high for d in found]) <= 0.97


def test_equal_pairs_have_no_spread() -> None:
    assert difference(np.full((3, 2), 40.0)).p == 1.0
    assert difference(np.array([[41.0, 40.0]] * 3)).p == 0.0
    with pytest.raises(ValueError, match=r"1 pair\(s\) have no spread"):
        difference(np.zeros((1, 2)))


def test_holm_rejects_what_its_steps_do() -> None:
    """The steps as Holm tells them: the smallest against level / m, the next against level / (m - 1), up to a stop."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    rng = np.random.default_rng(0)
    for _ in range(200):
        p = rng.uniform(size=5) ** 3
        corrected = np.array(holm(p.tolist()))
        for level in (0.01, 0.05, 0.2):
            order = np.argsort(p)
            passes = [p[i] <= level / (len(p) - rank) for rank, i in enumerate(order)]
            rejected = set(order[: len(list(itertools.takewhile(bool, passes)))])
            assert set(np.flatnonzero(corrected <= level)) == rejected


def test_words_follow_the_interval() -> None:
    """Never "better" or "worse" where the interval contains 0, and neither where only the correction speaks against."""
    said = set()
    for draw, shift in itertools.product(range(60), (0.0, 1.0, -1.0, 3.0, -3.0)):
        d = difference(pairs(4, draw, shift))
        word = verdict(d, holm([d.p, 0.5])[0])
        said.add(word)
        if word != "open":
            assert d.low > 0 if word == "better" else d.high < 0
    assert said == {"better", "worse", "open"}
    d = difference(pairs(8, seed=0, shift=2.0))
    assert d.low > 0 and verdict(d, 0.2) == "open"


def test_the_interval_over_pictures_is_of_the_mean_over_seeds() -> None:
    rng = np.random.default_rng(0)
    resampled = rng.normal([[41.0], [40.0]], 1.0, size=(6, 2, 500))
    low, high = over_pictures(resampled)
    differences = np.sort([(a - b).sum() / 6 for a, b in zip(resampled[:, 0].T, resampled[:, 1].T, strict=True)])
    assert low == pytest.approx(np.interp(0.025 * 499, np.arange(500), differences))
    assert high == pytest.approx(np.interp(0.975 * 499, np.arange(500), differences))
