"""The mixture against the reference arrays, in float32 (99 % of the sets that rounding does not decide) and float64
(99.9 %). `tests/assign/test_untrained.py` has the costs of an untrained network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax import mixture
from tests.golden import network


@pytest.fixture(scope="module")
def arrays(golden):
    return network.load(golden / "gmm.npz")


def decided(arrays):
    """Sets whose result does not hang on rounding: distinct costs, and one clear density peak (spec 5.4)."""
    keep = np.arange(arrays["costs"].shape[1]) < arrays["count"][:, None]
    distinct = np.where(keep[:, 1:], np.diff(arrays["costs"], axis=1) > 0, True).all(axis=1)
    density = np.sort(np.where(arrays["foreground"] & keep, arrays["log_density"], -np.inf), axis=1)
    with np.errstate(invalid="ignore"):
        gap = density[:, -1] - density[:, -2]
    return distinct & (np.nan_to_num(gap, nan=np.inf) > 1e-6) & (arrays["count"] > 1)


def n_positives(arrays, dtype):
    keep = jnp.asarray(np.arange(arrays["costs"].shape[1]) < arrays["count"][:, None])
    costs = jnp.where(keep, jnp.asarray(np.nan_to_num(arrays["costs"]), dtype), 0)
    fitted = jax.jit(jax.vmap(mixture.fit))(costs, keep)
    assert fitted.means.dtype == dtype
    foreground, density = np.asarray(fitted.foreground), np.asarray(fitted.log_density)
    peak = np.where(foreground, density, -np.inf).argmax(axis=1)
    return np.where(foreground, np.arange(foreground.shape[1]) <= peak[:, None], False).sum(axis=1)


def test_float32(arrays):
    which = decided(arrays)
    assert which.mean() > 0.5
    same = n_positives(arrays, jnp.float32) == arrays["n_pos"]
    assert same[which].mean() >= 0.99


def test_float64(arrays):
    which = decided(arrays)
    with jax.enable_x64(True):
        same = n_positives(arrays, jnp.float64) == arrays["n_pos"]
    assert same[which].mean() >= 0.999
