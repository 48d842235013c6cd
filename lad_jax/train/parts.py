"""A step that takes its batch in parts, one after the other: less memory, the same result (`train.accumulate`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import jax
import jax.numpy as jnp

from lad_jax.train.nouns import Measured, Moment
from lad_jax.train.state import Variables, with_params
from lad_jax.types import Batch, Network

if TYPE_CHECKING:
    from lad_jax.train.step import TrainStep

T = TypeVar("T")


def gradients(
    step: TrainStep, variables: Mapping[Network, Variables], batch: Batch, moment: Moment
) -> tuple[dict[Network, Any], Measured]:
    """`TrainStep.gradients` by two passes over the parts.

    The first finds the predictions, and from them the targets of the whole batch: the assignment, and what losses are
    divided by. The second adds up the parts' gradients. Each part draws for itself (drop path).
    """
    n, params = step.accumulate, step.trained_params(variables)
    pictures, keys = _split(batch, n), jax.random.split(moment.key, n)

    def first_pass(_: None, part: tuple[Batch, Any]) -> tuple[None, Any]:
        return None, {**step.predict_frozen(variables, *part), **step.predict_trained(variables, *part)}

    def second_pass(total: Any, part: tuple[Any, ...]) -> tuple[Any, Any]:
        frozen, pictures, key, targets = part

        def loss(params: Mapping[Network, Any]) -> tuple[Any, Any]:
            trained = step.predict_trained(with_params(variables, params), pictures, key)
            total, measured = step.loss({**frozen, **trained}, pictures, moment, targets)
            return total, (measured.scalars, measured.finite)

        found, measured = jax.grad(loss, has_aux=True)(params)
        return jax.tree.map(jnp.add, total, found), measured

    _, predictions = jax.lax.scan(first_pass, None, (pictures, keys))
    targets = step.targets(_join(predictions), batch, moment)
    frozen = {name: predictions[name] for name in step.method.frozen}
    zeros = jax.tree.map(jnp.zeros_like, params)
    total, (scalars, finite) = jax.lax.scan(second_pass, zeros, (frozen, pictures, keys, _split(targets, n)))
    return total, Measured(jax.tree.map(jnp.sum, scalars), _join(finite), targets)


def _split(tree: T, n: int) -> T:
    """Arrays of a batch as arrays of `n` parts. Every n-th picture, so that each device keeps the pictures it has."""
    return jax.tree.map(lambda x: jnp.swapaxes(x.reshape(-1, n, *x.shape[1:]), 0, 1), tree)


def _join(tree: T) -> T:
    """Arrays of parts as arrays of the batch again."""
    return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1).reshape(-1, *x.shape[2:]), tree)
