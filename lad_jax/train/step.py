"""One training step for every method (design 4)."""

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int

from lad_jax import losses
from lad_jax.assign import Assigner
from lad_jax.distill import Method, SwitchOptions
from lad_jax.models import Detector, ModelOptions
from lad_jax.priors import make_priors, within
from lad_jax.train.assignment import OBJECT_LEVEL, Assigned, assign_batch, describe
from lad_jax.train.sharding import replicated
from lad_jax.train.state import TrainState, Variables, params_of, with_params
from lad_jax.types import Batch, Network, Predictions, Priors

_log = logging.getLogger(__name__)
T = TypeVar("T")
Scalars = dict[str, Float[Array, ""]]
ByNetwork = Mapping[Network, Predictions]
SOLAD = losses.SoftOptions()


class StepOutput(NamedTuple):
    """What a step tells besides the new state."""

    scalars: Scalars
    broken: Bool[Array, " B"]
    """Images for which a network gave a cost that is not finite."""
    position: Int[Array, " B"]
    valid: Bool[Array, " B"]


class Targets(NamedTuple):
    """What the losses of a batch are measured against: constants, found from its predictions as a whole."""

    assigned: Assigned
    divisors: dict[Network, dict[str, losses.PerImage]]
    """Of each trained network and kind of loss."""


Step = Callable[[TrainState, Mapping[Network, Variables], Batch], tuple[TrainState, StepOutput]]
"""`(state, variables of frozen networks, batch) -> (new state, output)`"""


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
    accumulate: int = 1,
    seed: int = 0,
) -> Step:
    """The step `(state, frozen variables, batch) -> (state, output)`, to be jitted.

    Written for the whole batch, on however many devices it lies: sums are global, so there is no `pmean`.

    Args:
      models: every network of the method.
      method, assigner, optimizer, schedule, ema_decay, switch, soft, normaliser_pictures: the run's.
      accumulate: in how many parts the batch is taken, one after the other. The result is that of the whole batch: what
        the losses are divided by, and the assignment, are found from all parts before the first gradient is.
      seed: of what the networks draw in training (drop path).
    """
    geometry = models["student"].options

    def predict(name: Network, variables: Variables, batch: Batch, key: Any) -> Any:
        rngs = {"drop_path": jax.random.fold_in(key, list(models).index(name))} if name in method.trained else {}
        return models[name].apply(variables, batch.images, batch.image_hw, rngs=rngs)

    def sums_of(name: Network, predictions: ByNetwork, assigned: Assigned, batch: Batch) -> dict[str, losses.Sums]:
        """Of one trained network, by kind of loss; with a leading batch axis."""
        sums = {}
        if "detection" in method.losses:
            detection = partial(losses.detection_sums, box_weighting=method.box_weighting)
            sums["detection"] = jax.vmap(detection)(predictions[name], assigned.assignment, batch.truth)
        if "soft" in method.losses:
            compare = partial(losses.soft_sums, options=soft, bounded=models[name].options.objectness != "none")
            teacher, priors = predictions["teacher"], _priors_of(batch, geometry)
            image_hw = _readable_hw(batch)
            sums["soft"] = jax.vmap(compare)(predictions[name], teacher, priors, batch.truth, image_hw)
        return sums

    def targets_of(predictions: ByNetwork, batch: Batch) -> Targets:
        assigned = assign_batch(
            predictions,
            _priors_of(batch, geometry),
            batch.truth,
            method=method,
            assigner=assigner,
            n_levels=geometry.n_levels,
            switch=switch,
        )
        divisors = {
            name: {
                kind: losses.divisors_by_image(losses.DIVISORS[kind], sums, batch.valid, normaliser_pictures)
                for kind, sums in sums_of(name, predictions, assigned, batch).items()
            }
            for name in method.trained
        }
        return jax.lax.stop_gradient(Targets(assigned, divisors))

    def step(state: TrainState, frozen: Mapping[Network, Variables], batch: Batch) -> tuple[TrainState, StepOutput]:
        params = params_of(state.variables)
        key = jax.random.fold_in(jax.random.key(seed), state.step)

        def teach(batch: Batch) -> dict[Network, Predictions]:
            """Predictions of the frozen networks."""
            return {name: jax.lax.stop_gradient(predict(name, frozen[name], batch, None)) for name in method.frozen}

        def loss(
            params: dict[Network, Any], taught: ByNetwork, batch: Batch, key: Any, targets: Targets | None = None
        ) -> tuple[Float[Array, ""], tuple[Scalars, Targets]]:
            """Of a batch; or of a part of one, whose targets are given."""
            variables = with_params(state.variables, params)
            predictions = {**taught, **{name: predict(name, variables[name], batch, key) for name in method.trained}}
            targets = targets_of(predictions, batch) if targets is None else targets
            scalars = Scalars()
            for name in method.trained:
                for kind, sums in sums_of(name, predictions, targets.assigned, batch).items():
                    terms = losses.total(sums, targets.divisors[name][kind])
                    scalars |= {f"{name}/loss_{term}": value for term, value in terms.items()}
            total = sum(scalars.values(), jnp.zeros(()))
            return total, (scalars | {"loss": total}, targets)

        def in_parts() -> tuple[dict[Network, Any], Scalars, Targets]:
            """Gradients, losses and targets, by two passes over the parts: the first finds the targets."""
            parts, keys = _part(batch, accumulate), jax.random.split(key, accumulate)

            def look(part: Batch, key: Any) -> ByNetwork:
                return teach(part) | {n: predict(n, state.variables[n], part, key) for n in method.trained}

            def learn(total: Any, part: tuple[Any, ...]) -> tuple[Any, Scalars]:
                gradients, (scalars, _) = jax.grad(loss, has_aux=True)(params, *part)
                return jax.tree.map(jnp.add, total, gradients), scalars

            _, predictions = jax.lax.scan(lambda _, part: (None, look(*part)), None, (parts, keys))
            targets = targets_of(_whole(predictions), batch)
            taught = {name: predictions[name] for name in method.frozen}
            zeros = jax.tree.map(jnp.zeros_like, params)
            gradients, scalars = jax.lax.scan(learn, zeros, (taught, parts, keys, _part(targets, accumulate)))
            return gradients, jax.tree.map(jnp.sum, scalars), targets

        if accumulate == 1:
            gradients, (scalars, targets) = jax.grad(loss, has_aux=True)(params, teach(batch), batch, key)
        else:
            gradients, scalars, targets = in_parts()
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, params)
        params = optax.apply_updates(params, updates)
        ema = optax.incremental_update(params, state.ema, 1 - ema_decay) if state.ema else state.ema
        priors, assigned = _priors_of(batch, geometry), targets.assigned
        scalars |= describe(assigned, priors, batch.truth, geometry.n_levels, method.costs_from)
        scalars |= {"gradient_norm": optax.global_norm(gradients), "learning_rate": jnp.asarray(schedule(state.step))}
        new_state = TrainState(state.step + 1, with_params(state.variables, params), optimizer_state, ema)
        return new_state, StepOutput(scalars, assigned.broken, batch.position, batch.valid)

    return step


def _priors_of(batch: Batch, geometry: ModelOptions) -> Priors:
    """Of each picture of a batch."""
    canvas = make_priors((batch.images.shape[1], batch.images.shape[2]), geometry.strides, geometry.anchor_scale)
    return jax.vmap(lambda hw: jax.tree.map(jnp.asarray, within(canvas, hw)))(_readable_hw(batch))


def _readable_hw(batch: Batch) -> Int[Array, "B 2"]:
    """Height and width of each picture; 0 for one that could not be read, which so weighs nothing."""
    return jnp.where(batch.valid[:, None], batch.image_hw, 0)


def _part(tree: T, n: int) -> T:
    """Arrays of a batch as arrays of `n` parts. Every n-th picture, so that each device keeps the pictures it has."""
    return jax.tree.map(lambda x: jnp.swapaxes(x.reshape(-1, n, *x.shape[1:]), 0, 1), tree)


def _whole(tree: T) -> T:
    """Arrays of parts as arrays of the batch again."""
    return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1).reshape(-1, *x.shape[2:]), tree)


def jit_step(step: Callable[..., Any], mesh: Mesh) -> Any:
    """The step, to be compiled for a mesh, with donated state."""
    # The state stays where it is: it passes from one canvas's program to another's.
    return jax.jit(step, donate_argnums=0, out_shardings=(replicated(mesh), None))


def compile_once(step: Callable[..., Any], canvases: tuple[tuple[int, int], ...], mesh: Mesh) -> Step:
    """The step, compiled once for each of `canvases`; any other shape is an error. See `jit_step`."""
    jitted = jit_step(step, mesh)
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
