"""Task-aligned assignment: TOOD's (Feng et al., 2021)."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lad_jax.assign import pairs
from lad_jax.assign.base import Assigner, Explanation
from lad_jax.fields import check_range
from lad_jax.types import Assignment, CostTable, Predictions, Scene

EPSILON = 1e-7
"""Added to an object's largest metric."""


@dataclass(frozen=True)
class TALOptions:
    """Options of the task-aligned assignment; the defaults are TOOD's."""

    candidates: int = 13
    """Number of priors with the largest metric that an object can have, over all levels."""
    alpha: float = 1.0
    """Exponent of the class probability in the metric."""
    beta: float = 6.0
    """Exponent of the IoU in the metric."""
    target: Literal["aligned", "hard"] = "aligned"
    """Target of a positive's class: its metric, scaled so that an object's best prior has its best IoU; or 1, which
    leaves of the task alignment the selection alone."""

    def __post_init__(self) -> None:
        check_range(self, "candidates", least=1)
        check_range(self, "alpha", "beta", least=0)


def make_tal(options: TALOptions) -> Assigner:
    """Its functions, closed over the options."""
    soft = options.target == "aligned"
    functions = partial(cost, options=options), partial(partition, options=options)
    return Assigner(*functions, soft_target=soft, explain=explain)


def cost(scene: Scene, predictions: Predictions, *, options: TALOptions) -> CostTable:
    """1 - metric of every pair of an object and a valid prior.

    metric = p^α · IoU^β      with the probability of the object's class and the IoU of the predicted box

    Besides: `metric`, since 1 - metric rounds small ones away, and `iou`. Compared are pairs whose point is inside.
    """
    iou = pairs.predicted_iou(scene, predictions)
    metric = jnp.exp(options.alpha * pairs.of_class(predictions.class_log_p, scene)) * iou**options.beta
    inside = pairs.depth_in_box(scene) > pairs.INSIDE
    return pairs.make_table(scene, 1 - metric, compared=inside, metric=metric, iou=iou)


def partition(table: CostTable, scene: Scene, *, options: TALOptions) -> Assignment:
    """Positive are those of an object's best priors whose point is inside; the largest IoU wins a contest.

    The point is tested after the best are taken: an object may be left with none.
    """
    chosen = best_by_metric(table, options) & (pairs.depth_in_box(scene) > pairs.INSIDE)
    owner = pairs.preferred(chosen, table.besides["iou"])
    return pairs.make_assignment(scene, owner, aligned_target(table, owner) if options.target == "aligned" else None)


def explain(table: CostTable, scene: Scene) -> Explanation:
    """The metric of each pair, by which an object's priors are ranked, and whether the point is inside (1 or 0)."""
    return Explanation({}, {"metric": table.besides["metric"], "inside": table.compared.astype(jnp.float32)})


def best_by_metric(table: CostTable, options: TALOptions) -> Bool[Array, "G A"]:
    """The valid priors of the largest metrics above 0, for each object."""
    metric = table.besides["metric"]
    allowed = pairs.choosable(table) & (metric > 0)
    return pairs.cheapest(-metric, allowed, options.candidates, most=options.candidates)


def aligned_target(table: CostTable, owner: Int[Array, " A"]) -> Float[Array, " A"]:
    """The metrics of positives, scaled so that an object's best one becomes the largest IoU of its positives."""
    metric, iou = table.besides["metric"], table.besides["iou"]
    positive = owner[None] == jnp.arange(len(metric))[:, None]
    best_metric, best_iou = (jnp.max(jnp.where(positive, x, 0.0), axis=1) for x in (metric, iou))
    scale = best_iou / (best_metric + EPSILON)
    return pairs.of_owner(metric, owner) * scale[jnp.maximum(owner, 0)]
