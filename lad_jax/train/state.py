"""The state of a training: all that its steps change."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Int, UInt32

from lad_jax.models import Detector
from lad_jax.types import Network

Variables = Mapping[str, Any]
"""The flax collections of one network: `params`, and `batch_stats` where it has frozen batch norms."""


class TrainState(NamedTuple):
    """The trained networks and their optimiser. Frozen networks are not here."""

    step: Int[Array, ""]
    variables: dict[Network, Variables]
    optimizer: optax.OptState
    ema: dict[Network, Any]
    """Moving average of the params; empty where there is none."""
    key: UInt32[Array, "2"]
    """Data of the run's random key: given by its seed alone, so no checkpoint has it."""


def init_variables(model: Detector, seed: int) -> Variables:
    """Random variables of a network. The size of the canvas has no influence on them.

    XLA's generator draws them: a program of a hundred draws by the default one takes three times as long to compile.
    """
    images, image_hw = jnp.zeros((1, 64, 64, 3), jnp.uint8), jnp.full((1, 2), 64)
    return jax.jit(model.init)(jax.random.key(seed, impl="rbg"), images, image_hw)


def params_of(variables: Mapping[Network, Variables]) -> dict[Network, Any]:
    return {name: v["params"] for name, v in variables.items()}


def with_params(variables: Mapping[Network, Variables], params: Mapping[Network, Any]) -> dict[Network, Variables]:
    return {name: {**variables[name], "params": p} for name, p in params.items()}


def init_state(
    variables: dict[Network, Variables], optimizer: optax.GradientTransformation, *, seed: int, ema: bool
) -> TrainState:
    """The state before the first step.

    Args:
      variables: of the networks that are trained.
      optimizer: their optimiser.
      seed: of what the networks draw in training (drop path).
      ema: whether there is a moving average.
    """
    params = params_of(variables)
    average = jax.tree.map(jnp.copy, params) if ema else {}
    key = jax.random.key_data(jax.random.key(seed))
    return TrainState(jnp.zeros((), jnp.int32), variables, optimizer.init(params), average, key)


def evaluated_variables(state: TrainState) -> dict[Network, Variables]:
    """The variables that are evaluated and used afterwards: the moving average where there is one."""
    return with_params(state.variables, state.ema) if state.ema else state.variables


def updated_if(
    applied: Bool[Array, ""], update: Callable[[], TrainState], state: TrainState, platform: str
) -> TrainState:
    """The updated state, or the old one where the update is not to be applied.

    A CPU branches: a choice for each element takes twice the time of the update. Of a branch on an accelerator the
    host would have to ask which way it goes, and the state be copied to outlive it.
    """
    if platform == "cpu":
        return jax.lax.cond(applied, update, lambda: state)
    return jax.tree.map(partial(jnp.where, applied), update(), state)
