"""The assignment of a batch: costs of each network that supplies them, the policy's choice, one partition."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lad_jax import masked
from lad_jax.assign import Assigner
from lad_jax.distill import Method, SwitchOptions, policy
from lad_jax.types import Assignment, GroundTruth, Network, Predictions, Priors

OBJECT_LEVEL = SwitchOptions()


class Assigned(NamedTuple):
    """The assignment of a batch, and what there is to say about it. Every array has a leading batch axis."""

    assignment: Assignment
    candidates: Int[Array, "B A"]
    teaches: Int[Array, "B A"]
    """Which network a candidate's cost is from: its index in `Method.costs_from`; -1 for no candidate."""
    broken: Bool[Array, " B"]


@jax.named_scope("assignment")
def assign_batch(
    predictions: Mapping[Network, Predictions],
    priors: Priors,
    truth: GroundTruth,
    *,
    method: Method,
    assigner: Assigner,
    n_levels: int,
    switch: SwitchOptions = OBJECT_LEVEL,
    per_shard: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda function: function,
) -> Assigned:
    """Costs of each network that supplies them, the policy's choice, one partition.

    No gradient flows through any of it.

    Args:
      predictions: by network, batched.
      priors: batched.
      truth: batched.
      method: whose costs count.
      assigner: what costs are, and how they part the priors.
      n_levels: number of pyramid levels.
      switch: how networks are compared, where several supply costs.
      per_shard: what runs a function of batches whose pictures need nothing of each other: all but a switch of scope
        `batch` (see `lad_jax.mesh.per_shard`).
    """
    predictions = jax.lax.stop_gradient(predictions)
    cost, partition = per_shard(jax.vmap(assigner.cost)), per_shard(jax.vmap(assigner.partition))
    decide = partial(policy, n_levels=n_levels, options=switch)
    tables = {name: cost(priors, predictions[name], truth) for name in method.costs_from}
    table, teaches = (decide if switch.scope == "batch" else per_shard(decide))(tables, priors, truth)
    assignment = partition(table, priors, truth)
    not_finite = [jnp.any((t.object >= 0) & ~masked.is_finite(t.cost), axis=1) for t in tables.values()]
    return Assigned(assignment, table.object, teaches, jnp.any(jnp.stack(not_finite), axis=0))


@jax.named_scope("metrics")
def describe(
    assigned: Assigned, priors: Priors, truth: GroundTruth, n_levels: int, costs_from: tuple[Network, ...]
) -> dict[str, Float[Array, ""]]:
    """Figures about an assignment that tell whether it is healthy."""
    assignment, positive = assigned.assignment, assigned.assignment.positive
    objects = truth.objects
    n_objects = jnp.maximum(jnp.sum(objects), 1)
    owner = jnp.where(positive, assignment.object, objects.shape[1])
    has_positive = jax.vmap(lambda o, kept: jnp.zeros_like(kept).at[o].set(True, mode="drop") & kept)(owner, objects)
    n_candidates = jnp.maximum(jnp.sum(assigned.candidates >= 0), 1)
    scalars = {
        "objects": jnp.sum(objects),
        "positives_per_object": jnp.sum(positive) / n_objects,
        "objects_without_positives": jnp.sum(objects & ~has_positive) / n_objects,
        "mixture_iterations": jnp.max(assignment.iterations),
    }
    for index, name in enumerate(costs_from):
        scalars[f"teaches/{name}"] = jnp.sum(assigned.teaches == index) / n_candidates
    for level in range(n_levels):
        scalars[f"positives/level_{level}"] = jnp.sum(positive & (priors.level == level))
    return {name: jnp.asarray(value, jnp.float32) for name, value in scalars.items()}
