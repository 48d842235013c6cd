"""From the sums of single images to the losses of a batch.

A loss is a sum over a batch, divided by another sum over it (of positives, or of IoUs). The divisor carries no
gradient, so it may be found first and the sums be taken later, a part of the batch at a time.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

Scalars = dict[str, Float[Array, ""]]
PerImage = dict[str, Float[Array, " B"]]


class Sums(NamedTuple):
    """Sums over the priors of one image."""

    terms: dict[str, Float[Array, "*B"]]
    """Weighted, and still to be divided."""
    measures: dict[str, Float[Array, "*B"]]
    """What the divisors are made of; without gradient."""


@jax.named_scope("losses")
def divisors_by_image(
    divisors: Callable[[Scalars, Int[Array, ""]], Scalars], sums: Sums, valid: Bool[Array, " B"], pictures: int
) -> PerImage:
    """What the terms of each image of a batch are divided by, before they are summed.

    Args:
      divisors: from the measures of some images, and the number of real ones, to what each term is divided by.
      sums: with a leading batch axis.
      valid: which images are real.
      pictures: `LossOptions.normaliser_pictures`; the terms are averaged over the groups of that many.
    """
    size = pictures or len(valid)
    measures, real = jax.tree.map(lambda x: x.reshape(-1, size), (sums.measures, valid))
    of_groups = jax.vmap(divisors)({name: jnp.sum(x, axis=1) for name, x in measures.items()}, jnp.sum(real, axis=1))
    return {name: jnp.repeat(len(x) * x, size) for name, x in of_groups.items()}


@jax.named_scope("losses")
def total(sums: Sums, divisors: PerImage) -> Scalars:
    """The terms of a batch, or of a part of it."""
    return {name: jnp.sum(x / divisors[name]) for name, x in sums.terms.items()}
