"""The switch: which network's costs tell its candidates apart best, and so teach (paper 3.4, eq. 3; spec 7.4)."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lad_jax import masked, mixture


@dataclass(frozen=True)
class SwitchOptions:
    """How networks are compared, and over what."""

    criterion: Literal["std_over_mean", "fisher"] = "std_over_mean"
    """The score by which networks are compared: σ/µ of the costs, or Fisher's of a mixture of two Gaussians."""
    scope: Literal["object_level", "object", "image", "batch"] = "object_level"
    """One decision for each object and pyramid level (the released code), for each object, for each image, or for
    the whole batch (the paper's text)."""


@jax.named_scope("switch")
def best_network(
    costs: Float[Array, "N A"], cell: Int[Array, " A"], *, n_cells: int, criterion: str
) -> Int[Array, " K"]:
    """In each cell the network whose costs have the highest score teaches.

    `std_over_mean` σ/µ with the unbiased deviation; `fisher` (µ₁ - µ₀)² / (v₀ + v₁) of a mixture of two Gaussians. A
    tie goes to the last network. A lone candidate has no deviation: there the smallest cost teaches, a tie going to
    the first network. A network that gave a cell a cost that is not finite does not teach there.

    Args:
      costs: of N networks for the same priors.
      cell: which cell a prior's cost belongs to; `n_cells` for none.
      n_cells: how many cells there are.
      criterion: a key of `CRITERIA`.

    Returns:
      The network of each cell, K = n_cells + 1: the last stands for the priors without a cell.
    """
    count = _per_cell(jnp.ones_like(costs[0]), cell, n_cells)
    lone = count == 1

    def score(cost: Float[Array, " A"]) -> Float[Array, " K"]:
        broken = _per_cell((~masked.is_finite(cost)).astype(cost.dtype), cell, n_cells) > 0
        several = CRITERIA[criterion](cost, cell, count)
        return jnp.where(broken, -jnp.inf, jnp.where(lone, -_per_cell(cost, cell, n_cells), several))

    scores = jnp.stack([score(cost) for cost in costs])
    last = len(costs) - 1 - jnp.argmax(scores[::-1], axis=0)
    return jnp.where(lone, jnp.argmax(scores, axis=0), last)


def std_over_mean(cost: Float[Array, " A"], cell: Int[Array, " A"], count: Float[Array, " K"]) -> Float[Array, " K"]:
    """σ/µ of each cell's costs, σ with n - 1."""
    per_cell = partial(_per_cell, cell=cell, n_cells=len(count) - 1)
    mean = per_cell(cost) / jnp.maximum(count, 1)
    deviation = jnp.sqrt(per_cell((cost - mean[cell]) ** 2) / jnp.maximum(count - 1, 1))
    return deviation / jnp.where(mean > 0, mean, 1.0)


def fisher(cost: Float[Array, " A"], cell: Int[Array, " A"], count: Float[Array, " K"]) -> Float[Array, " K"]:
    """(µ₁ - µ₀)² / (v₀ + v₁) of the mixture fitted to each cell's costs, all candidates of the cell together."""
    fitted = mixture.fit_cells(cost, cell, len(count) - 1)
    return jnp.append(fitted.mean_contrast**2 / jnp.sum(fitted.variances, axis=1), 0.0)


CRITERIA = {"std_over_mean": std_over_mean, "fisher": fisher}


def _per_cell(values: Float[Array, " A"], cell: Int[Array, " A"], n_cells: int) -> Float[Array, " K"]:
    return jax.ops.segment_sum(values, cell, n_cells + 1)
