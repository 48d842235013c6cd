"""PAA on the costs of a network that has learned nothing: nearly equal, so that rounding could decide (spec 5.4).

Objects of 4 to 32 pixels at 800x1088, logits and deltas with the small noise of a random head. The positives of the
contrast form in float32 are those of scikit-learn in float64; the same iteration in float32, centred but without the
contrasts, loses a good part of them.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.assign.paa import PAAOptions, cheapest_of_each_object, make_paa
from tests.reference import paa as twin
from tests.reference.example import predictions_of, priors_of, scene_of, truth_of

CANVAS, N_OBJECTS, N_CLASSES = (800, 1088), 120, 80


def objects(rng):
    """One in each cell of a grid, so that they share no candidates."""
    rows, columns = np.divmod(rng.permutation(15 * 20)[:N_OBJECTS], 20)
    centre = np.stack([27 + 54 * columns, 27 + 53 * rows], axis=1) + rng.uniform(-10, 10, (N_OBJECTS, 2))
    half = rng.uniform(2, 16, (N_OBJECTS, 2))
    return np.concatenate([centre - half, centre + half], axis=1), rng.integers(0, N_CLASSES, N_OBJECTS)


def plain_float32(x):
    """Positions of the positives by the same iteration in float32, without contrasts."""
    x = x.astype(np.float32)
    mean, variance, weight = np.array([x[0], x[-1]]), np.ones(2, np.float32), np.full(2, 0.5, np.float32)
    previous = np.float32(-np.inf)
    for _ in range(100):
        l = -((x[:, None] - mean) ** 2 / variance + np.log(2 * np.pi * variance)) / 2 + np.log(weight)  # noqa: E741
        l = l.astype(np.float32)  # noqa: E741
        s = np.logaddexp(l[:, 0], l[:, 1])
        r = np.exp(l - s[:, None])
        n = r.sum(axis=0)
        mean = (r * x[:, None]).sum(axis=0) / n
        variance = (r * (x[:, None] - mean) ** 2).sum(axis=0) / n + np.float32(1e-6)
        weight, likelihood = n / n.sum(), s.mean()
        if abs(likelihood - previous) < 1e-3:
            break
        previous = likelihood
    l = -((x[:, None] - mean) ** 2 / variance + np.log(variance)) / 2 + np.log(weight)  # noqa: E741
    foreground = np.flatnonzero(l[:, 0] >= l[:, 1])
    density = np.logaddexp(l[:, 0], l[:, 1])[foreground]
    return foreground[: density.argmax() + 1].tolist() if len(foreground) else []


@pytest.mark.parametrize(("logit_noise", "delta_noise"), [(0.05, 0.02), (0.01, 0.005)])
def test_positives_are_those_of_float64(logit_noise, delta_noise):
    rng = np.random.default_rng(0)
    priors = priors_of(CANVAS, np.array([CANVAS]))
    n_priors = priors.valid.shape[1]
    truth = truth_of([objects(rng)])
    raw = (
        -4.59511985 + rng.normal(0, logit_noise, (1, n_priors, N_CLASSES)),
        rng.normal(0, delta_noise, (1, n_priors, 4)),
        np.zeros((1, n_priors)),
    )
    assigner = make_paa(PAAOptions())

    @jax.jit
    def assign(predictions, scene):
        table = assigner.cost(scene, predictions)
        return assigner.partition(table, scene), cheapest_of_each_object(table, scene, per_level=9)

    predictions = predictions_of(*(x.astype(np.float32) for x in raw), priors.boxes)
    one = jax.tree.map(lambda x: x[0], (predictions, scene_of(priors, truth, CANVAS)))
    assignment, (index, costs, kept) = jax.tree.map(np.asarray, assign(*one))
    same, plain = [], []
    for g in range(N_OBJECTS):
        x = costs[g][kept[g]]
        expected = twin.positives_of(x.astype(np.float64)).tolist()
        ours = np.flatnonzero(assignment.object[index[g][kept[g]]] >= 0).tolist()
        same.append(ours == expected)
        plain.append(plain_float32(x) == expected)
    assert np.mean(same) >= 0.99
    assert np.mean(plain) < 0.9, "the contrast form would not be needed"
    assert jnp.asarray(kept).sum() >= 9 * N_OBJECTS
