"""The mixture against scikit-learn in float64, the worked sets of spec 12.2, and degenerate values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax import mixture
from lad_jax.cell_rows import ROW
from tests.reference import paa as twin

SLOTS = 45
fit = jax.jit(jax.vmap(mixture.fit))


def padded(sets):
    """Sets of ascending values as [N, 45] and their mask; the padding must not matter, so it is filled with junk."""
    values, mask = np.full((len(sets), SLOTS), 123.0, np.float32), np.zeros((len(sets), SLOTS), bool)
    for row, kept, x in zip(values, mask, sets, strict=True):
        row[: len(x)], kept[: len(x)] = x, True
    return jnp.asarray(values), jnp.asarray(mask)


def positives(fitted, i):
    """Spec 5.1, step 5, on the fit of set i."""
    foreground = np.flatnonzero(fitted.foreground[i])
    if len(foreground) == 0:
        return []
    return foreground[: np.asarray(fitted.log_density[i])[foreground].argmax() + 1].tolist()


WORKED = {
    "separate": (
        (0.52, 0.61, 0.70, 0.95, 1.40, 1.62, 1.80, 2.05, 2.40),
        (12, (0.43198224, 0.56801776), (0.68831299, 1.83365727), (0.02468488, 0.13602225), 3),
    ),
    "two": ((1.0, 2.0), (3, (0.5, 0.5), (1.3670262, 1.6329738), (0.23231897, 0.23231897), 1)),
    "equal": ((1.0, 1.0, 1.0), (3, (0.5, 0.5), (1.0, 1.0), (1e-6, 1e-6), 1)),
    "twins": (
        (1.326606, 1.348861, 1.362753, 1.373407, 1.434363, 1.436588, 1.453458, 1.461481, 1.497382),
        (3, (0.50006185, 0.49993815), (1.41028035, 1.41080835), (0.00308393, 0.00308153), 4),
    ),
    "twins_2": (
        (1.00806, 1.033156, 1.06428, 1.116058, 1.173553, 1.189466, 1.200327, 1.204985, 1.272968),
        (3, None, (1.13933163, 1.14130232), (0.0071619, 0.00711486), 4),
    ),
}


@pytest.mark.parametrize("name", WORKED)
def test_worked_sets(name):
    x, (iterations, weights, means, variances, n_positives) = WORKED[name]
    fitted = fit(*padded([x]))
    assert fitted.iterations[0] == iterations
    np.testing.assert_allclose(fitted.means[0], means, rtol=2e-6)
    np.testing.assert_allclose(fitted.variances[0], variances, rtol=2e-4)
    if weights:
        np.testing.assert_allclose(fitted.weights[0], weights, rtol=1e-5)
    assert positives(fitted, 0) == list(range(n_positives))


def test_worked_densities():
    fitted = fit(*padded([WORKED["separate"][0], WORKED["equal"][0]]))
    expected = [-0.47960, -0.02917, 0.09468, -1.17496, -1.17823, -0.65487, -0.49124, -0.65912, -1.66609]
    np.testing.assert_allclose(fitted.log_density[0, :9], expected, atol=2e-5)
    np.testing.assert_allclose(fitted.log_density[1, :3], 5.98881675, rtol=1e-5)
    assert (fitted.log_density[0, 9:] == -np.inf).all()
    assert not fitted.foreground[0, 4:].any()


def random_sets(rng, kind, count):
    for _ in range(count):
        n = rng.integers(2, SLOTS + 1)
        x = {
            "uniform": lambda n: rng.uniform(0.5, 3.5, n),
            "bimodal": lambda n: np.where(rng.random(n) < 0.4, rng.normal(0.8, 0.15, n), rng.normal(2.2, 0.4, n)),
            "gamma": lambda n: 0.4 + rng.gamma(2, 0.4, n),
            "early": lambda n: 1.13 + 1.3 * np.sort(rng.uniform(0.05, 0.95, n)) + rng.normal(0, 0.01, n),
            # Small objects at the start: nearly equal costs, where plain float32 fails (spec 5.4).
            "nearly equal": lambda n: rng.uniform(1.5, 3) + rng.normal(0, 10 ** rng.uniform(-3, -1.5), n),
        }[kind](n)
        yield np.sort(x.astype(np.float32))


@pytest.mark.parametrize("kind", ["uniform", "bimodal", "gamma", "early", "nearly equal"])
def test_positives_equal_scikit_learn(kind):
    sets = list(random_sets(np.random.default_rng(5), kind, 300))
    fitted = fit(*padded(sets))
    same = [positives(fitted, i) == twin.positives_of(x.astype(np.float64)).tolist() for i, x in enumerate(sets)]
    assert np.mean(same) >= 0.97


def test_parameters_equal_scikit_learn():
    x = np.sort(np.random.default_rng(2).normal(1.5, 0.5, 30).astype(np.float32))
    ours, theirs = fit(*padded([x])), twin.mixture(x.astype(np.float64))
    assert ours.iterations[0] == theirs.n_iter_
    np.testing.assert_allclose(ours.means[0], theirs.means_[:, 0], rtol=1e-4)
    np.testing.assert_allclose(ours.variances[0], theirs.covariances_[:, 0], rtol=1e-4)
    np.testing.assert_allclose(ours.weights[0], theirs.weights_, rtol=1e-4)
    np.testing.assert_allclose(ours.log_density[0, :30], theirs.score_samples(x[:, None].astype(np.float64)), atol=1e-4)


def test_any_order_and_any_mask():
    """The values need not be sorted, nor the kept ones come first."""
    rng = np.random.default_rng(3)
    [x] = random_sets(rng, "bimodal", 1)
    values, mask = padded([x])
    order = rng.permutation(SLOTS)
    a, b = fit(values, mask), fit(values[:, order], mask[:, order])
    np.testing.assert_array_equal(np.asarray(a.foreground)[:, order], b.foreground)
    np.testing.assert_allclose(np.asarray(a.log_density)[:, order], b.log_density, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("x", [[], [2.5], [1e-6, 1e6], [0.0, 1e6, 1e6], [7.0] * SLOTS, [3.0] * 44 + [3.0000002]])
def test_degenerate_sets_stay_finite(x):
    fitted = fit(*padded([x]))
    for name in ("means", "variances", "weights"):
        assert np.isfinite(getattr(fitted, name)).all(), name
    assert np.isfinite(fitted.log_density[0, : len(x)]).all()
    assert (np.asarray(fitted.variances) > 0).all()
    assert not fitted.foreground[0, len(x) :].any()


def test_equal_costs_give_the_first_alone():
    for n in (2, 9, SLOTS):
        assert positives(fit(*padded([[1.7] * n])), 0) == [0]


def test_shift_does_not_matter_to_near_equal_values():
    """Centred sums: far from zero, where E[x²]-µ² would cancel, the labels are the same."""
    x = np.arange(9, dtype=np.float32) ** 1.2 / 1024
    x = np.round(x * 2**14) / 2**14  # so that adding 64 is exact
    near, far = fit(*padded([x])), fit(*padded([x + 64]))
    np.testing.assert_array_equal(near.foreground, far.foreground)
    np.testing.assert_allclose(near.variances, far.variances, rtol=1e-5)


def test_cells_are_fitted_as_each_alone():
    """Cells of none, one, and more values than a row has, and values of no cell."""
    rng = np.random.default_rng(7)
    n_cells, sizes = 6, (0, 1, 2, ROW, 3 * ROW + 1, 200)
    cell = rng.permutation(np.repeat(np.arange(n_cells + 1), (*sizes, 50))).astype(np.int32)
    values = rng.gamma(2, 0.4, len(cell)).astype(np.float32)
    found = jax.jit(mixture.fit_cells, static_argnums=2)(values, cell, n_cells)
    each = jax.jit(jax.vmap(mixture.fit, in_axes=(None, 0)))(values, cell == np.arange(n_cells)[:, None])
    assert each.iterations.max() > 5
    np.testing.assert_allclose(found.mean_contrast, each.mean_contrast, rtol=1e-4)
    np.testing.assert_allclose(found.variances, each.variances, rtol=1e-4)
