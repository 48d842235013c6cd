"""Losses as sums over single images, and the losses of a batch made of them.

A loss is a sum over a batch, divided by another sum over it (of positives, or of IoUs). The divisor carries no
gradient, so it may be found first and the sums be taken later, a part of the batch at a time.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lad_jax.types import Assignment, Predictions, Scene

Scalars = dict[str, Float[Array, ""]]
PerImage = dict[str, Float[Array, " B"]]


class Sums(NamedTuple):
    """Sums over the priors of one image."""

    terms: dict[str, Float[Array, "*B"]]
    """Weighted terms of the loss, still to be divided."""
    measures: dict[str, Float[Array, "*B"]]
    """Sums that divisors are made of; without gradient."""


class Loss(NamedTuple):
    """One kind of loss of a trained network."""

    sums: Callable[[Predictions, Predictions | None, Assignment, Scene], Sums]
    """Sums of one image by the network's predictions, its teacher's, the assignment and the scene."""
    divisors: Callable[[Scalars, Int[Array, ""]], Scalars]
    """Divisors of the terms of several images by their summed measures, and how many of them are real."""


@jax.named_scope("losses")
def batch_sums(
    losses: Mapping[str, Loss],
    predictions: Predictions,
    teacher: Predictions | None,
    assignment: Assignment,
    scene: Scene,
) -> dict[str, Sums]:
    """The sums of each kind of loss, image by image. Every argument has a leading batch axis."""
    return {kind: jax.vmap(loss.sums)(predictions, teacher, assignment, scene) for kind, loss in losses.items()}


@jax.named_scope("losses")
def batch_divisors(
    losses: Mapping[str, Loss], sums: Mapping[str, Sums], valid: Bool[Array, " B"], pictures: int
) -> PerImage:
    """Divisors of the terms of each image of a batch, before they are summed.

    Args:
      losses: by kind.
      sums: of `batch_sums`.
      valid: which images are real.
      pictures: `LossOptions.normaliser_pictures`; the terms are averaged over the groups of that many.
    """
    size = pictures or len(valid)
    divisors: PerImage = {}
    for kind, loss in losses.items():
        measures, real = jax.tree.map(lambda x: x.reshape(-1, size).sum(axis=1), (sums[kind].measures, valid))
        of_groups = jax.vmap(loss.divisors)(measures, real)
        divisors |= {name: jnp.repeat(len(x) * x, size) for name, x in of_groups.items()}
    return divisors


@jax.named_scope("losses")
def batch_terms(sums: Mapping[str, Sums], divisors: PerImage) -> Scalars:
    """The weighted terms of a batch, or of a part of it; the loss is their sum."""
    return {name: jnp.sum(x / divisors[name]) for of_kind in sums.values() for name, x in of_kind.terms.items()}
