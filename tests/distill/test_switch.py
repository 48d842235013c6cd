"""The switch against its twin, at ties, at lone candidates, and where costs are not finite."""

import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax import masked
from tests.reference import paa as twin
from tests.reference.example import best_network


def random_cells(seed, n_cells, spread):
    rng = np.random.default_rng(seed)
    cell = rng.integers(0, n_cells + 1, 200).astype(np.int32)
    return cell, *(rng.normal(2, spread, (2, 200)).clip(0.1).astype(np.float32))


def better(student, teacher, cell, **options):
    """Whether the second of two networks is taken, for each prior."""
    return best_network(jnp.stack([student, teacher]), cell, **options) == 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_cells", [15, 150])  # the latter mostly lone candidates
def test_switch_equals_the_twin(seed, n_cells):
    cell, student, teacher = random_cells(seed, n_cells, 0.3)
    ours = np.asarray(better(*map(jnp.asarray, (student, teacher, cell)), n_cells=n_cells))
    expected = twin.switch(
        student.astype(np.float64), teacher.astype(np.float64), np.where(cell < n_cells, cell, -1), 0 * cell, n_cells
    )
    np.testing.assert_array_equal(ours, expected)
    assert 0 < expected.mean() < 1


def decide(student, teacher):
    cell = jnp.zeros(len(student), jnp.int32)
    return bool(better(jnp.array(student), jnp.array(teacher), cell, n_cells=1)[0])


def test_ties_and_lone_candidates():
    assert decide([1.0, 2, 3], [1.0, 2, 3])  # a tie goes to the teacher
    assert decide([1.0, 2, 3], [3.0, 1, 2])
    assert decide([1.0, 1, 1], [2.0, 2, 2])  # no deviation in either: also a tie
    assert not decide([1.5], [1.5])  # of lone candidates to the student
    assert decide([1.5], [1.4]) and not decide([1.4], [1.5])


def test_scale_does_not_matter_to_the_switch():
    cell, student, teacher = random_cells(9, 15, 0.3)
    plain = better(*map(jnp.asarray, (student, teacher, cell)), n_cells=15)
    scaled = better(*map(jnp.asarray, (student, 8 * teacher, cell)), n_cells=15)
    lone = np.bincount(cell, minlength=16) == 1
    np.testing.assert_array_equal(np.asarray(plain)[~lone[cell]], np.asarray(scaled)[~lone[cell]])


def test_a_network_without_finite_costs_does_not_teach():
    worst = masked.WORST
    assert not decide([1.0, 1.1, 1.2], [1.0, worst, 2.0])
    assert decide([1.0, worst, 2.0], [1.0, 1.1, 1.2])
    assert decide([worst], [2.0]) and not decide([2.0], [worst])


def test_fisher_equals_scikit_learn():
    """The score of each cell's mixture, and with it the decision; lone candidates by the smaller cost."""
    cell, student, teacher = random_cells(3, 15, 0.5)
    decision = np.asarray(better(*map(jnp.asarray, (student, teacher, cell)), n_cells=15, criterion="fisher"))
    for k in range(15):
        ours, theirs = (np.sort(c[cell == k]).astype(np.float64) for c in (student, teacher))
        assert len(ours) > 1
        scores = [twin.score(c, "fisher") for c in (ours, theirs)]
        assert abs(scores[1] / scores[0] - 1) > 1e-3, "rounding would decide"
        assert (decision[cell == k] == (scores[1] > scores[0])).all()
    assert 0 < decision.mean() < 1


def test_fisher_of_equal_costs_is_a_tie():
    cell = jnp.zeros(3, jnp.int32)
    same, spread = jnp.full(3, 1.5), jnp.array([1.0, 1.1, 3.0])
    assert better(same, same, cell, n_cells=1, criterion="fisher")[0]
    assert not better(spread, same, cell, n_cells=1, criterion="fisher")[0]


def test_three_networks():
    """A tie goes to the last, of lone candidates to the first."""

    def best(costs):
        cell = jnp.zeros(len(costs[0]), jnp.int32)
        return int(best_network(jnp.array(costs), cell, n_cells=1, criterion="std_over_mean")[0])

    low, high = [1.0, 1.1, 1.2], [1.0, 2.0, 3.0]
    assert [best(c) for c in ([high, low, low], [low, high, low], [low, low, high])] == [0, 1, 2]
    assert [best(c) for c in ([high, high, low], [low, low, low])] == [1, 2]
    assert [best(c) for c in ([[2.0], [1.0], [1.0]], [[1.0], [1.0], [1.0]])] == [1, 0]
