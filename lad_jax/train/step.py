"""One training step for every method (design 4)."""

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
from lad_jax.distill.assignment import OBJECT_LEVEL, Assigned, assign_batch, describe
from lad_jax.mesh import (
    DATA,
    MeshOptions,
    make_mesh,
    on_shards,
    per_shard,
    replicated,
    sum_shards,
    tile,
)
from lad_jax.models import Detector, ModelOptions
from lad_jax.priors import make_priors, within
from lad_jax.train.finite import ByImage, Finite, parts_finite
from lad_jax.train.optimizer import at_step
from lad_jax.train.state import TrainState, Variables, params_of, with_params
from lad_jax.types import Batch, Network, Predictions, Priors

T = TypeVar("T")
Scalars = dict[str, Float[Array, ""]]
ByNetwork = Mapping[Network, Predictions]
SOLAD = losses.SoftOptions()


class StepOutput(NamedTuple):
    """What a step tells besides the new state."""

    scalars: Scalars
    applied: Bool[Array, ""]
    """False where something was not finite: the state is then the one before, but for its step."""
    finite: Finite
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
    mesh: Mesh | None = None,
    gradients_in: str = "float32",
) -> Step:
    """The step `(state, frozen variables, batch) -> (state, output)`, to be jitted.

    Each device applies the networks to its own pictures and assigns them alone. Losses, their divisors and a switch
    over the batch are written for the whole batch, wherever it lies. Where the loss or a gradient is not finite nothing
    is learned: of the state only `step` moves on. Scopes name the parts for a profile (`benchmarks/step.py`).

    Args:
      models: every network of the method.
      method, assigner, optimizer, schedule, ema_decay, switch, soft, normaliser_pictures: the run's.
      accumulate: in how many parts the batch is taken, one after the other. The result is that of the whole batch: what
        the losses are divided by, and the assignment, are found from all parts before the first gradient is.
      seed: of what the networks draw in training (drop path), each part of the batch for itself.
      mesh: the devices; default: one.
      gradients_in: in what dtype the devices' gradients are summed.
    """
    geometry, mesh = models["student"].options, mesh or make_mesh(MeshOptions(data=1), {})

    def predict(name: Network, variables: Variables, batch: Batch, key: Any) -> Any:
        """`variables` are tiled."""

        def apply(variables: Variables, images: Any, image_hw: Any, keys: Any) -> Any:
            rngs = {"drop_path": keys[0]} if name in method.trained else {}
            return models[name].apply(variables, images, image_hw, rngs=rngs)

        keys = jax.random.split(jax.random.fold_in(key, list(models).index(name)), mesh.shape[DATA])
        with jax.named_scope(name):
            return on_shards(apply, mesh)(variables, batch.images, batch.image_hw, keys)

    @jax.named_scope("losses")
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
            per_shard=partial(per_shard, mesh=mesh),
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
        variables = tile({**state.variables, **frozen}, mesh)
        copies = {name: variables[name]["params"] for name in method.trained}
        key = jax.random.fold_in(jax.random.key(seed), state.step)

        def teach(batch: Batch) -> dict[Network, Predictions]:
            """Predictions of the frozen networks."""
            return {name: jax.lax.stop_gradient(predict(name, variables[name], batch, key)) for name in method.frozen}

        def loss(
            copies: dict[Network, Any], taught: ByNetwork, batch: Batch, key: Any, targets: Targets | None = None
        ) -> tuple[Float[Array, ""], tuple[Scalars, ByImage, Targets]]:
            """Of a batch; or of a part of one, whose targets are given."""
            learning = with_params(variables, copies)
            predictions = {**taught, **{name: predict(name, learning[name], batch, key) for name in method.trained}}
            targets = targets_of(predictions, batch) if targets is None else targets
            scalars, finite = Scalars(), ByImage()
            for name in method.trained:
                for kind, sums in sums_of(name, predictions, targets.assigned, batch).items():
                    terms = losses.total(sums, targets.divisors[name][kind])
                    scalars |= {f"{name}/loss_{term}": value for term, value in terms.items()}
                    finite |= {f"{name}/loss_{term}": jnp.isfinite(value) for term, value in sums.terms.items()}
            total = sum(scalars.values(), jnp.zeros(()))
            return total, (scalars | {"loss": total}, finite, targets)

        def in_parts() -> tuple[dict[Network, Any], Scalars, ByImage, Targets]:
            """Gradients, losses, whose are finite, and targets, by two passes over the parts: the first finds the
            targets."""
            parts, keys = _part(batch, accumulate), jax.random.split(key, accumulate)

            def look(part: Batch, key: Any) -> ByNetwork:
                return teach(part) | {n: predict(n, variables[n], part, key) for n in method.trained}

            def learn(total: Any, part: tuple[Any, ...]) -> tuple[Any, tuple[Scalars, Any]]:
                gradients, (scalars, finite, _) = jax.grad(loss, has_aux=True)(copies, *part)
                return jax.tree.map(jnp.add, total, gradients), (scalars, finite)

            _, predictions = jax.lax.scan(lambda _, part: (None, look(*part)), None, (parts, keys))
            targets = targets_of(_whole(predictions), batch)
            taught = {name: predictions[name] for name in method.frozen}
            zeros = jax.tree.map(jnp.zeros_like, copies)
            given = (taught, parts, keys, _part(targets, accumulate))
            gradients, (scalars, finite) = jax.lax.scan(learn, zeros, given)
            return gradients, jax.tree.map(jnp.sum, scalars), _whole(finite), targets

        if accumulate == 1:
            gradients, (scalars, finite, targets) = jax.grad(loss, has_aux=True)(copies, teach(batch), batch, key)
        else:
            gradients, scalars, finite, targets = in_parts()
        gradients = sum_shards(gradients, mesh, gradients_in)

        @jax.named_scope("optimiser")
        def learned() -> TrainState:
            updates, optimizer_state = optimizer.update(gradients, at_step(state.optimizer, state.step), params)
            new = optax.apply_updates(params, updates)
            ema = optax.incremental_update(new, state.ema, 1 - ema_decay) if state.ema else state.ema
            return TrainState(state.step, with_params(state.variables, new), optimizer_state, ema)

        priors, assigned = _priors_of(batch, geometry), targets.assigned
        scalars |= describe(assigned, priors, batch.truth, geometry.n_levels, method.costs_from)
        scalars |= {"gradient_norm": optax.global_norm(gradients), "learning_rate": jnp.asarray(schedule(state.step))}
        applied = jnp.isfinite(scalars["loss"]) & jnp.isfinite(scalars["gradient_norm"])
        # A branch costs nothing; a choice for each element takes twice the time of the update on a CPU.
        new_state = jax.lax.cond(applied, learned, lambda: state)._replace(step=state.step + 1)
        told = Finite(finite, parts_finite(gradients))
        return new_state, StepOutput(scalars, applied, told, assigned.broken, batch.position, batch.valid)

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
    # The state stays where it is: it passes from one canvas's program to another's. Every process reads the output.
    return jax.jit(step, donate_argnums=0, out_shardings=replicated(mesh))
