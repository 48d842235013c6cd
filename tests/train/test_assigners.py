"""Training steps of every assigner under CoLAD and of every method under PAA; the other pairs are slow."""

import itertools

import jax
import numpy as np
import pytest

from lad_jax.assign import ASSIGNERS, AssignerOptions, make_assigner
from lad_jax.distill import METHODS
from lad_jax.losses import make_losses
from lad_jax.options import RunOptions
from lad_jax.run.build import loss_setting
from lad_jax.train.state import init_variables
from tests.networks import ONE_LAYER, OPTIONS, make_batch, start, train_step

STEPS = 5
QUICK = [*((name, "colad") for name in ASSIGNERS), *(("paa", method) for method in METHODS if method != "colad")]
OTHERS = [pair for pair in itertools.product(ASSIGNERS, METHODS) if pair not in QUICK]


def step_of(name, method):
    """The step of any pair, also of those that the options refuse since they make no sense."""
    options = AssignerOptions(name=name)
    assigner, row = make_assigner(options), METHODS[method]
    setting = loss_setting(RunOptions(assigner=options), assigner, OPTIONS)
    return train_step(
        row, ONE_LAYER, assigner=assigner, losses=dict.fromkeys(row.trained, make_losses(row.losses, setting))
    )


def check_pair(name, method):
    """Five steps on the same pictures lower the loss; twins stay twins; a frozen teacher is not in the state."""
    step, batch = step_of(name, method), make_batch()
    compiled = jax.jit(step.step)
    networks = {"student": init_variables(ONE_LAYER, 0), "teacher": init_variables(ONE_LAYER, 1)}
    state, frozen = start(step, networks)
    losses = []
    for _ in range(STEPS):
        state, output = compiled(state, frozen, batch)
        assert output.applied
        losses.append(float(output.scalars["loss"]))
    assert losses[-1] < losses[0], losses
    assert set(state.variables) == set(step.method.trained)
    shares = [float(value) for key, value in output.scalars.items() if key.startswith("teaches/")]
    assert len(shares) == len(step.method.costs_from) and sum(shares) == pytest.approx(1)

    if method == "colad":
        twins, _ = start(step, {"student": networks["student"], "teacher": networks["student"]})
        new, _ = compiled(twins, frozen, batch)
        ours, theirs = (new.variables[network]["params"] for network in ("student", "teacher"))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), ours, theirs)


@pytest.mark.parametrize(("name", "method"), QUICK)
def test_a_pair_learns(name, method):
    check_pair(name, method)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "method"), OTHERS)
def test_any_other_pair_learns(name, method):
    check_pair(name, method)
