"""The switch: scores of how well a network's costs separate the candidates of a cell (paper 3.4, eq. 3; spec 7.4)."""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lad_jax import masked, mixture
from lad_jax.distill.cells import Cells, Scope


@dataclass(frozen=True)
class SwitchOptions:
    """Comparison of networks by their costs."""

    criterion: Literal["std_over_mean", "fisher"] = "std_over_mean"
    """The score by which networks are compared: σ/µ of the costs, or Fisher's of a mixture of two Gaussians."""
    scope: Scope = "object_level"
    """Entries that are compared together: those of an object on a pyramid level (the released code), of an object, of
    an image, or of the whole batch (the paper's text)."""


@jax.named_scope("switch")
def switching_score(cost: Float[Array, "*E"], cells: Cells, options: SwitchOptions) -> Float[Array, " K"]:
    """The score of one network in each cell: the network with the highest decides there.

    `std_over_mean` σ/µ with the unbiased deviation; `fisher` (µ₁ - µ₀)² / (v₀ + v₁) of a mixture of two Gaussians. A
    lone candidate has no deviation: its score is the lower, the larger its cost. Where a cost of the cell is not
    finite, compared or not, the score is -inf.

    Args:
      cost: one network's.
      cells: what is compared together.
      options: the criterion.
    """
    count = cells.total(jnp.ones_like(cost))
    broken = cells.total_of_all((~masked.is_finite(cost)).astype(cost.dtype)) > 0
    several = CRITERIA[options.criterion](cost, cells, count)
    return jnp.where(broken, -jnp.inf, jnp.where(count == 1, -cells.total(cost), several))


def std_over_mean(cost: Float[Array, "*E"], cells: Cells, count: Float[Array, " K"]) -> Float[Array, " K"]:
    """σ/µ of each cell's costs, σ with n - 1."""
    mean = cells.total(cost) / jnp.maximum(count, 1)
    deviation = jnp.sqrt(cells.total((cost - cells.spread(mean)) ** 2) / jnp.maximum(count - 1, 1))
    return deviation / jnp.where(mean > 0, mean, 1.0)


def fisher(cost: Float[Array, "*E"], cells: Cells, count: Float[Array, " K"]) -> Float[Array, " K"]:
    """(µ₁ - µ₀)² / (v₀ + v₁) of the mixture that is fitted to each cell's costs."""
    fitted = mixture.fit_cells(*cells.entries(cost))
    return fitted.mean_contrast**2 / jnp.sum(fitted.variances, axis=1)


CRITERIA = {"std_over_mean": std_over_mean, "fisher": fisher}
