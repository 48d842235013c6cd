"""One training step for every method (design 4)."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int

from lad_jax import losses, masked
from lad_jax.assign import Assigner
from lad_jax.distill import Method, SwitchOptions, policy
from lad_jax.models import Detector
from lad_jax.priors import make_priors, within
from lad_jax.train.sharding import replicated
from lad_jax.train.state import TrainState, Variables, params_of, with_params
from lad_jax.types import Assignment, Batch, GroundTruth, Network, Predictions, Priors

_log = logging.getLogger(__name__)
Scalars = dict[str, Float[Array, ""]]
OBJECT_LEVEL, SOLAD = SwitchOptions(), losses.SoftOptions()


class StepOutput(NamedTuple):
    """What a step tells besides the new state."""

    scalars: Scalars
    broken: Bool[Array, " B"]
    """Images for which a network gave a cost that is not finite."""
    position: Int[Array, " B"]
    valid: Bool[Array, " B"]


Step = Callable[[TrainState, Mapping[Network, Variables], Batch], tuple[TrainState, StepOutput]]
"""`(state, variables of frozen networks, batch) -> (new state, output)`"""


class Assigned(NamedTuple):
    """The assignment of a batch, and what there is to say about it. Every array has a leading batch axis."""

    assignment: Assignment
    candidates: Int[Array, "B A"]
    teaches: Int[Array, "B A"]
    """Which network a candidate's cost is from: its index in `Method.costs_from`; -1 for no candidate."""
    broken: Bool[Array, " B"]


def assign_batch(
    predictions: Mapping[Network, Predictions],
    priors: Priors,
    truth: GroundTruth,
    *,
    method: Method,
    assigner: Assigner,
    n_levels: int,
    switch: SwitchOptions = OBJECT_LEVEL,
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
    """
    predictions = jax.lax.stop_gradient(predictions)
    tables = {name: jax.vmap(assigner.cost)(priors, predictions[name], truth) for name in method.costs_from}
    table, teaches = policy(tables, priors, truth, n_levels=n_levels, options=switch)
    assignment = jax.vmap(assigner.partition)(table, priors, truth)
    not_finite = [jnp.any((t.object >= 0) & ~masked.is_finite(t.cost), axis=1) for t in tables.values()]
    return Assigned(assignment, table.object, teaches, jnp.any(jnp.stack(not_finite), axis=0))


def make_train_step(
    models: Mapping[Network, Detector],
    *,
    method: Method,
    assigner: Assigner,
    optimizer: optax.GradientTransformation,
    schedule: optax.Schedule,
    ema_decay: float = 0.0,
    switch: SwitchOptions = OBJECT_LEVEL,
    soft: losses.SoftOptions = SOLAD,
    normaliser_pictures: int = 0,
) -> Step:
    """The step `(state, frozen variables, batch) -> (state, output)`, to be jitted.

    Written for the whole batch, on however many devices it lies: sums are global, so there is no `pmean`.
    """
    geometry = models["student"].options

    def step(state: TrainState, frozen: Mapping[Network, Variables], batch: Batch) -> tuple[TrainState, StepOutput]:
        canvas = make_priors((batch.images.shape[1], batch.images.shape[2]), geometry.strides, geometry.anchor_scale)
        image_hw = jnp.where(batch.valid[:, None], batch.image_hw, 0)  # a picture that could not be read weighs nothing
        priors = jax.vmap(lambda hw: jax.tree.map(jnp.asarray, within(canvas, hw)))(image_hw)

        def predict(name: Network, variables: Variables) -> Any:
            return models[name].apply(variables, batch.images, batch.image_hw)

        from_frozen = {name: jax.lax.stop_gradient(predict(name, frozen[name])) for name in method.frozen}

        def loss(params: dict[Network, Any]) -> tuple[Float[Array, ""], tuple[Scalars, Assigned]]:
            variables = with_params(state.variables, params)
            predictions = from_frozen | {name: predict(name, variables[name]) for name in method.trained}
            assigned = assign_batch(
                predictions,
                priors,
                batch.truth,
                method=method,
                assigner=assigner,
                n_levels=geometry.n_levels,
                switch=switch,
            )
            total, scalars = jnp.zeros(()), Scalars()
            for name in method.trained:
                terms = Scalars()
                if "detection" in method.losses:
                    terms |= losses.detection_terms(
                        predictions[name],
                        assigned.assignment,
                        batch.truth,
                        batch.valid,
                        box_weighting=method.box_weighting,
                        pictures=normaliser_pictures,
                    )
                if "soft" in method.losses:
                    terms |= losses.soft_terms(
                        predictions[name],
                        predictions["teacher"],
                        priors,
                        batch.truth,
                        image_hw,
                        batch.valid,
                        options=soft,
                        bounded=models[name].options.objectness != "none",
                        pictures=normaliser_pictures,
                    )
                total += sum(terms.values())
                scalars |= {f"{name}/loss_{term}": value for term, value in terms.items()}
            return total, (scalars | {"loss": total}, assigned)

        params = params_of(state.variables)
        gradients, (scalars, assigned) = jax.grad(loss, has_aux=True)(params)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, params)
        params = optax.apply_updates(params, updates)
        ema = optax.incremental_update(params, state.ema, 1 - ema_decay) if state.ema else state.ema
        scalars |= describe(assigned, priors, batch.truth, geometry.n_levels, method.costs_from)
        scalars |= {"gradient_norm": optax.global_norm(gradients), "learning_rate": jnp.asarray(schedule(state.step))}
        new_state = TrainState(state.step + 1, with_params(state.variables, params), optimizer_state, ema)
        return new_state, StepOutput(scalars, assigned.broken, batch.position, batch.valid)

    return step


def compile_once(step: Callable[..., Any], canvases: tuple[tuple[int, int], ...], mesh: Mesh) -> Step:
    """The step, jitted with donated state and compiled once for each of `canvases`; any other shape is an error."""
    # The state stays where it is: it passes from one canvas's program to another's.
    jitted = jax.jit(step, donate_argnums=0, out_shardings=(replicated(mesh), None))
    programs: dict[tuple[int, int], Any] = {}

    def run(state: TrainState, frozen: Mapping[Network, Variables], batch: Batch) -> tuple[TrainState, StepOutput]:
        canvas = (batch.images.shape[1], batch.images.shape[2])
        if canvas not in programs:
            if canvas not in canvases:
                raise RuntimeError(f"canvas {canvas} is none of those that the run was planned with: {canvases}")
            since = time.monotonic()
            programs[canvas] = jitted.lower(state, frozen, batch).compile()
            seconds = time.monotonic() - since
            _log.info("compiled program %d of %d, canvas %s, in %.0f s", len(programs), len(canvases), canvas, seconds)
        return programs[canvas](state, frozen, batch)

    return run


def describe(
    assigned: Assigned, priors: Priors, truth: GroundTruth, n_levels: int, costs_from: tuple[Network, ...]
) -> Scalars:
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
