"""Class probabilities by class logits, and by objectness where a head has one (spec 1.8).

Each function works on the maps of one level and returns (log p, log(1-p)). Without objectness p is the logit's sigmoid.
The two heads of the paper multiply it by an objectness that no loss supervises: what comes out is a probability without
a logit, and where it is exactly 0 or 1 its logarithm is `FLOOR`, as in the reference.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lad_jax.models.region import Region, inside

Map = Float[Array, "B H W C"]
FLOOR = -100.0
"""Lower bound of the logarithm of a probability."""
NEIGHBOURHOOD = 9
"""Number of cells whose logits a conditional score depends on: 3x3, row by row."""


def plain(logits: Map) -> tuple[Map, Map]:
    """No objectness: p = σ(z)"""
    return jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)


def implicit(logits: Map, objectness: Float[Array, "B H W 1"], bias: Float[Array, "B H W 1"]) -> tuple[Map, Map]:
    """Implicit objectness: p = max(σ(z) - σ(b), 0) · σ(o)"""
    return _logs(jax.nn.relu(jax.nn.sigmoid(logits) - jax.nn.sigmoid(bias)) * jax.nn.sigmoid(objectness))


def conditional(logits: Map, coefficients: Float[Array, "B H W 9"], region: Region) -> tuple[Map, Map]:
    """Conditional objectness: p(u) = mean over the nine neighbours v of u of σ(g_v(u)) · σ(z(v))

    A neighbour outside the picture's region has a logit of 0, so a probability of 1/2, as in the reference.

    Args:
      logits: z.
      coefficients: g, a channel for each neighbour, row by row.
      region: the one of these maps.
    """
    height, width = logits.shape[1:3]
    probability = inside(jax.nn.sigmoid(logits), region, fill=0.5)
    probability = jnp.pad(probability, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=0.5)
    weight = jax.nn.sigmoid(coefficients)
    total = jnp.zeros_like(logits)
    for k in range(NEIGHBOURHOOD):
        row, column = divmod(k, 3)
        total += weight[..., k, None] * probability[:, row : row + height, column : column + width]
    return _logs(total / NEIGHBOURHOOD)


def _logs(p: Map) -> tuple[Map, Map]:
    """(ln p, ln(1-p)), at least `FLOOR`, where the gradient is 0."""
    log_p = jnp.log(jnp.where(p > 0, p, 1.0))
    log_not_p = jnp.log1p(-jnp.where(p < 1, p, 0.0))
    return jnp.maximum(jnp.where(p > 0, log_p, FLOOR), FLOOR), jnp.maximum(jnp.where(p < 1, log_not_p, FLOOR), FLOOR)
