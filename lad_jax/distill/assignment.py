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

PAIRS_AT_ONCE = 2**25
"""Entries of the tables of pictures that are assigned at once: 128 MiB for each array of a dense table."""


class Assigned(NamedTuple):
    """The assignment of a batch, and facts about it. Every array has a leading batch axis."""

    assignment: Assignment
    compared: Int[Array, "B N"]
    """Number of entries of the deciding table whose cost is from each network of `Method.costs_from`, of those that the
    switch compares."""
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
    predictions = jax.lax.stop_gradient({name: predictions[name] for name in method.costs_from})

    def costs(scene: Scene, predictions: Mapping[Network, Predictions]) -> tuple[CostTable, ...]:
        return tuple(assigner.cost(scene, predictions[name]) for name in method.costs_from)

    def choose(tables: tuple[CostTable, ...], scene: Scene) -> tuple[CostTable, Int[Array, "*E"]]:
        return policy(tables, scene, switch)

    def finish(tables: tuple[CostTable, ...], table: CostTable, source: Int[Array, "*E"], scene: Scene) -> Assigned:
        decided = [jnp.sum(table.compared & (source == index)) for index in range(len(tables))]
        broken = [jnp.any((t.object >= 0) & ~masked.is_finite(t.cost)) for t in tables]
        return Assigned(assigner.partition(table, scene), jnp.stack(decided), jnp.any(jnp.stack(broken)))

    def assign(scene: Scene, predictions: Mapping[Network, Predictions]) -> Assigned:
        tables = costs(scene, predictions)
        return finish(tables, *choose(tables, scene), scene)

    one_picture = jax.tree.map(lambda x: x[0], (scene, predictions))
    entries = jax.eval_shape(costs, *one_picture)[0].object.size
    by_groups = partial(_in_groups, at_once=max(1, PAIRS_AT_ONCE // entries))
    if switch.scope != "batch":
        return per_shard(partial(by_groups, assign))(scene, predictions)
    tables = per_shard(partial(by_groups, costs))(scene, predictions)
    table, source = jax.vmap(choose, axis_name=PICTURES)(tables, scene)
    return per_shard(partial(by_groups, finish))(tables, table, source, scene)


def _in_groups(function: Callable[..., Any], *batches: Any, at_once: int) -> Any:
    """`function` for every picture of batches, for at most so many at once."""
    n_pictures = len(jax.tree.leaves(batches)[0])
    if at_once >= n_pictures:
        return jax.vmap(function)(*batches)
    size = max(divisor for divisor in range(1, at_once + 1) if n_pictures % divisor == 0)
    return jax.lax.map(lambda picture: function(*picture), batches, batch_size=size)


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
    n_compared = jnp.maximum(jnp.sum(assigned.compared), 1)
    scalars = {
        "objects": jnp.sum(objects),
        "positives_per_object": jnp.sum(positive) / n_objects,
        "objects_without_positives": jnp.sum(objects & ~has_positive) / n_objects,
        "partition_iterations": jnp.max(assignment.iterations),
    }
    for index, name in enumerate(costs_from):
        scalars[f"teaches/{name}"] = jnp.sum(assigned.compared[:, index]) / n_compared
    for number, level in enumerate(levels.slices):
        scalars[f"positives/level_{number}"] = jnp.sum(positive[:, level])
    return {name: jnp.asarray(value, jnp.float32) for name, value in scalars.items()}
