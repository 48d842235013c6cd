"""Optimal transport assignment (Ge et al., 2021)."""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from lad_jax.assign import pairs
from lad_jax.assign.base import Assigner, Explanation
from lad_jax.fields import check_range
from lad_jax.losses.focal import focal_negative, focal_positive
from lad_jax.types import Assignment, CostTable, Predictions, Scene

PENALTY = 1e6
"""Cost that is added to all other pairs of an object that has pairs without penalty."""
LEAST_IOU = 1.1920929e-07
"""Lower bound of an IoU before its logarithm."""
SPARE = 1e-8
"""Added to supply and demand before their logarithms."""


@dataclass(frozen=True)
class OTAOptions:
    """Options of OTA; the defaults are the released code's."""

    candidates: int = 20
    """Number of the largest IoUs that make an object's supply."""
    radius: float = 2.5
    """Half the side of the window around an object's centre in which pairs have no penalty [strides]."""
    iou_weight: float = 1.5
    """Weight of -ln IoU beside the focal loss."""
    entropy: float = 0.1
    """Weight of the plan's entropy."""
    rounds: int = 50
    """Rounds of Sinkhorn's iteration. It has not converged then, and answers depend on the number."""

    def __post_init__(self) -> None:
        check_range(self, "candidates", "rounds", least=1)
        check_range(self, "radius", "iou_weight", least=0)
        check_range(self, "entropy", least=1e-3)


def make_ota(options: OTAOptions) -> Assigner:
    """OTA's functions, closed over the options."""
    functions = partial(cost, options=options), partial(partition, options=options)
    return Assigner(*functions, explain=partial(explain, options=options))


def cost(scene: Scene, predictions: Predictions, *, options: OTAOptions) -> CostTable:
    """Loss of every pair of an object and a valid prior.

    cost = Σ_c focal_c + iou_weight · -ln IoU

    summed over all classes, the object's being the positive one. Besides: `iou`, of the predicted box, and
    `beyond_background`: the cost less that of being background, with which the transport has the same answer and its
    row of background is 0.
    """
    log_p, log_not_p = predictions.class_log_p, predictions.class_log_not_p
    iou = pairs.predicted_iou(scene, predictions)
    absent, present = focal_negative(log_p, log_not_p), focal_positive(log_p, log_not_p)
    exchanged = pairs.of_class(present, scene) - pairs.of_class(absent, scene)
    beyond_background = exchanged - options.iou_weight * jnp.log(jnp.maximum(iou, LEAST_IOU))
    total = jnp.sum(absent, axis=1)[None] + beyond_background
    in_window = pairs.depth_in_window(scene, options.radius) > 0
    allowed = in_window & (pairs.depth_in_box(scene) > pairs.INSIDE)
    return pairs.make_table(scene, total, compared=allowed, iou=iou, beyond_background=beyond_background)


def partition(table: CostTable, scene: Scene, *, options: OTAOptions) -> Assignment:
    """Each prior goes to the object, or the background, of whose plan it has the largest share of the largest entry."""
    log_plan = transport(table, scene, options).log_plan
    share = log_plan - jnp.max(log_plan, axis=1, keepdims=True, initial=-1e30)
    best = jnp.argmax(share, axis=0).astype(jnp.int32)
    owner = jnp.where(scene.priors.valid & (best < len(table.object)), best, -1)
    return pairs.make_assignment(scene, owner, iterations=options.rounds)


def explain(table: CostTable, scene: Scene, *, options: OTAOptions) -> Explanation:
    """The number of priors that each object supplies, and what each prior gets of it by the plan."""
    supply, log_plan = transport(table, scene, options)
    return Explanation({"supply": supply[:-1]}, {"plan": jnp.exp(log_plan[:-1])})


class Transport(NamedTuple):
    """The plan by which R rows, the objects and at last the background, supply priors."""

    supply: Float[Array, " R"]
    """Number of priors that a row supplies; an object's is its dynamic k."""
    log_plan: Float[Array, "R A"]
    """Logarithm of what a prior gets of a row; -inf where it can get nothing."""


def transport(table: CostTable, scene: Scene, options: OTAOptions) -> Transport:
    """The plan after `rounds` rounds of Sinkhorn's iteration, started at u = v = 1 with v first.

    An object without any allowed prior takes part without penalties, rather than with penalties on all of its pairs,
    against which float32 is blind.
    """
    entries = pairs.choosable(table)
    allowed = entries & table.compared
    reachable = jnp.any(allowed, axis=1, keepdims=True)
    penalised = table.besides["beyond_background"] + jnp.where(reachable & ~allowed, PENALTY, 0.0)
    rows = jnp.concatenate([entries, scene.priors.valid[None]])
    costs = jnp.concatenate([jnp.where(entries, penalised, 0.0), jnp.zeros((1, entries.shape[1]))])
    supply = supplies(table, scene, options)
    return Transport(supply, sinkhorn(costs, rows, supply, entropy=options.entropy, rounds=options.rounds))


def supplies(table: CostTable, scene: Scene, options: OTAOptions) -> Float[Array, " R"]:
    """The dynamic k of each object, and for the background what is left of the priors.

    If objects would supply all priors or more, their supplies are lowered in proportion, so that one is left.
    """
    entries = pairs.choosable(table)
    iou_sum = pairs.sum_of_largest(table.besides["iou"], entries & table.compared, options.candidates)
    k = jnp.where(jnp.any(entries, axis=1), pairs.to_whole(iou_sum), 0).astype(jnp.float32)
    n_priors = jnp.sum(scene.priors.valid).astype(jnp.float32)
    k = k * jnp.minimum(1.0, (n_priors - 1) / jnp.maximum(jnp.sum(k), 1.0))
    # Not concatenated: XLA's compiler for GPUs (jax 0.10.2) fails on that after a product.
    return jnp.pad(k, (0, 1)).at[-1].set(n_priors - jnp.sum(k))


def sinkhorn(
    cost: Float[Array, "R A"], entries: Bool[Array, "R A"], supply: Float[Array, " R"], *, entropy: float, rounds: int
) -> Float[Array, "R A"]:
    """Logarithm of the transport plan of least cost with an entropy, for a demand of 1 in each column.

    Args:
      cost: of a row's supply in a column.
      entries: the others take no part, as if they did not exist.
      supply: of each row.
      entropy: ε, the weight of the entropy.
      rounds: of the iteration v = ε (ln 1 - lse_rows(M)) + v, u = ε (ln supply - lse_columns(M)) + u with
        M = (-cost + u + v) / ε.
    """
    in_row, in_column = jnp.any(entries, axis=1), jnp.any(entries, axis=0)

    def scaled(u: Float[Array, " R"], v: Float[Array, " A"]) -> Float[Array, "R A"]:
        return jnp.where(entries, (-cost + u[:, None] + v[None]) / entropy, -jnp.inf)

    def step(_: Array, potentials: tuple[Array, Array]) -> tuple[Array, Array]:
        u, v = potentials
        v = v + jnp.where(in_column, entropy * (jnp.log(1 + SPARE) - jax.nn.logsumexp(scaled(u, v), axis=0)), 0.0)
        u = u + jnp.where(in_row, entropy * (jnp.log(supply + SPARE) - jax.nn.logsumexp(scaled(u, v), axis=1)), 0.0)
        return u, v

    u, v = jax.lax.fori_loop(0, rounds, step, (jnp.ones(len(cost)), jnp.ones(cost.shape[1])))
    return scaled(u, v)
