"""The assignment of a batch: costs of each network that supplies them, the policy's choice, one partition."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lad_jax import masked
from lad_jax.assign import Assigner
from lad_jax.distill.cells import PICTURES
from lad_jax.distill.methods import Method
from lad_jax.distill.policy import policy
from lad_jax.distill.switch import SwitchOptions
from lad_jax.types import Assignment, CostTable, Network, Predictions, Scene


class Assigned(NamedTuple):
    """The assignment of a batch, and facts about it. Every array has a leading batch axis."""

    assignment: Assignment
    table: CostTable
    """The costs that decided."""
    source: Int[Array, "B *E"]
    """Index in `Method.costs_from` of the network that an entry's cost is from; -1 where the entry has no object."""
    broken: Bool[Array, " B"]
    """Images for which a network gave a cost that is not finite."""


@jax.named_scope("assignment")
def assign_batch(
    predictions: Mapping[Network, Predictions],
    scene: Scene,
    *,
    method: Method,
    assigner: Assigner,
    switch: SwitchOptions,
    per_shard: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda function: function,
) -> Assigned:
    """Assign the priors of a batch: costs of each network that supplies them, the policy's choice, one partition.

    No gradient flows through any of it.

    Args:
      predictions: by network, with a leading batch axis.
      scene: with a leading batch axis.
      method: whose costs count.
      assigner: the functions of costs and of the partition.
      switch: how networks are compared, where several supply costs.
      per_shard: a transformation that runs a function of batches on each device's pictures alone (`mesh.per_shard`):
        all but a switch of scope `batch` needs nothing of other pictures.
    """
    predictions = jax.lax.stop_gradient(predictions)
    cost, partition = per_shard(jax.vmap(assigner.cost)), per_shard(jax.vmap(assigner.partition))
    decide = jax.vmap(partial(policy, options=switch), axis_name=PICTURES)
    tables = tuple(cost(scene, predictions[name]) for name in method.costs_from)
    table, source = (decide if switch.scope == "batch" else per_shard(decide))(tables, scene)
    assignment = partition(table, scene)
    not_finite = [(t.object >= 0) & ~masked.is_finite(t.cost) for t in tables]
    broken = jnp.stack(not_finite).any(axis=(0, *range(2, not_finite[0].ndim + 1)))
    return Assigned(assignment, table, source, broken)


@jax.named_scope("metrics")
def assignment_figures(
    assigned: Assigned, scene: Scene, costs_from: tuple[Network, ...]
) -> dict[str, Float[Array, ""]]:
    """Figures for the log that show whether an assignment is healthy."""
    assignment, positive = assigned.assignment, assigned.assignment.positive
    objects, levels = scene.truth.objects, scene.priors.levels
    n_objects = jnp.maximum(jnp.sum(objects), 1)
    owner = jnp.where(positive, assignment.object, objects.shape[1])
    has_positive = jax.vmap(lambda o, kept: jnp.zeros_like(kept).at[o].set(True, mode="drop") & kept)(owner, objects)
    n_candidates = jnp.maximum(jnp.sum(assigned.table.object >= 0), 1)
    scalars = {
        "objects": jnp.sum(objects),
        "positives_per_object": jnp.sum(positive) / n_objects,
        "objects_without_positives": jnp.sum(objects & ~has_positive) / n_objects,
        "partition_iterations": jnp.max(assignment.iterations),
    }
    for index, name in enumerate(costs_from):
        scalars[f"teaches/{name}"] = jnp.sum(assigned.source == index) / n_candidates
    for number, level in enumerate(levels.slices):
        scalars[f"positives/level_{number}"] = jnp.sum(positive[:, level])
    return {name: jnp.asarray(value, jnp.float32) for name, value in scalars.items()}
