"""What the training step divides its losses by, against numbers that numpy finds from the assignment."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.assign import AssignerOptions, make_assigner
from lad_jax.distill import METHODS
from lad_jax.train.nouns import Moment
from tests.networks import ONE_LAYER, make_batch, random_predictions, train_step

VALID = np.array([True, True, False, True])
"""The third picture could not be read."""
METHOD = METHODS["lad"]
"""One in which all positives' boxes have the weight 1."""
ASSIGNER = make_assigner(AssignerOptions(name="max_iou"))
"""The assigner whose program is compiled soonest."""
MOMENT = Moment(jax.random.key(0), jnp.zeros(()))


def expected(positives, pictures):
    """Divisors of groups of consecutive pictures: their positives; for classes at least the pictures that are real.

    The terms are averaged over the groups, so each is divided by their number too.
    """
    starts = range(0, len(positives), pictures)
    divisors = {"class": [], "box": [], "quality": []}
    for first in starts:
        group = slice(first, first + pictures)
        n, real = positives[group].sum(), VALID[group].sum()
        divisors["class"] += [max(n, real, 1) * len(starts)] * pictures
        divisors["box"] += [max(n, 1) * len(starts)] * pictures
        divisors["quality"] += [max(n, 1) * len(starts)] * pictures
    return divisors


@pytest.mark.parametrize(("option", "pictures"), [(0, 4), (1, 1), (2, 2)])
def test_divisors_are_those_of_the_options_groups(option, pictures):
    """`normaliser_pictures` of the step: groups of so many pictures, of the whole batch for 0."""
    step = train_step(METHOD, ONE_LAYER, assigner=ASSIGNER, normaliser_pictures=option)
    batch = make_batch()._replace(valid=jnp.asarray(VALID))
    priors = step.scene(batch, MOMENT.progress).priors
    predictions = {name: random_predictions(priors, seed) for seed, name in enumerate(METHOD.networks)}
    targets = jax.jit(step.targets)(predictions, batch, MOMENT)
    positives = np.sum(np.asarray(targets.assigned.assignment.object) >= 0, axis=1)
    assert len(set(positives.tolist())) == 4 and positives[2] == 0, "the grouping matters here"
    assert set(targets.divisors) == {"student"}
    for term, values in expected(positives, pictures).items():
        np.testing.assert_allclose(targets.divisors["student"][term], values, rtol=1e-6, err_msg=term)
