"""One training step for every method (design 4)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float

from lad_jax.assign import Assigner
from lad_jax.distill import Assigned, Method, SwitchOptions, assign_batch, assignment_figures
from lad_jax.losses import Loss, Scalars, Sums, batch_divisors, batch_sums, batch_terms
from lad_jax.mesh import DATA, on_shards, per_shard, replicated, sum_shards, tile
from lad_jax.models import Detector
from lad_jax.priors import make_priors, within
from lad_jax.train import parts
from lad_jax.train.finite import ByImage, Finite, parts_finite
from lad_jax.train.nouns import ByNetwork, Measured, Moment, StepOutput, Targets
from lad_jax.train.optimizer import at_step, without_gradient
from lad_jax.train.state import TrainState, Variables, params_of, updated_if, with_params
from lad_jax.types import Batch, Network, Predictions, Scene

StepFunction = Callable[[TrainState, Mapping[Network, Variables], Batch], tuple[TrainState, StepOutput]]
"""`(state, variables of frozen networks, batch) -> (new state, output)`"""


@dataclass(frozen=True)
class TrainStep:
    """Training step of a method: what stays the same from step to step, and a method for each thing that a step does.

    `step` is the whole; `jitted` is what runs compile. Each device applies the networks to its own pictures, and
    assigns and sums their losses by itself. Divisors and a switch over the batch are written for the whole batch,
    wherever it lies. Scopes name the parts for a profile (`benchmarks/step.py`).
    """

    method: Method
    models: Mapping[Network, Detector]
    """Every network of the method."""
    assigner: Assigner
    switch: SwitchOptions
    losses: Mapping[Network, Mapping[str, Loss]]
    """Losses of each trained network, by kind."""
    optimizer: optax.GradientTransformation
    schedule: optax.Schedule
    mesh: Mesh
    total_steps: int
    """Steps of the whole training."""
    ema_decay: float = 0.0
    """Decay of the moving average of the weights; 0: none."""
    normaliser_pictures: int = 0
    """See `LossOptions`."""
    accumulate: int = 1
    """In how many parts the batch is taken, one after the other (`parts.gradients`)."""
    gradients_in: str = "float32"
    """In what dtype the devices' gradients are summed."""
    frozen_parts: frozenset[str] = frozenset()
    """Parts of the trained networks that are not trained (`PartOptions`): their gradient is 0, and not computed."""

    def step(
        self, state: TrainState, frozen: Mapping[Network, Variables], batch: Batch
    ) -> tuple[TrainState, StepOutput]:
        """Train on a batch. Where the loss or a gradient is not finite, of the state only `step` moves on."""
        variables = tile({**state.variables, **frozen}, self.mesh)
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
        moment = Moment(key, state.step / self.total_steps)
        find = self.gradients if self.accumulate == 1 else partial(parts.gradients, self)
        gradients, measured = find(variables, batch, moment)
        gradients = sum_shards(gradients, self.mesh, self.gradients_in)
        norm = optax.global_norm(gradients)
        applied = jnp.isfinite(measured.scalars["loss"]) & jnp.isfinite(norm)
        platform = self.mesh.devices.flat[0].platform
        new = updated_if(applied, lambda: self.update(state, gradients), state, platform)
        scalars = {"gradient_norm": norm, "learning_rate": jnp.asarray(self.schedule(state.step))}
        return new._replace(step=state.step + 1), self.report(measured, gradients, batch, moment, scalars, applied)

    def predict(self, name: Network, variables: Variables, batch: Batch, key: Any) -> Predictions:
        """One network's predictions; each device by its own copy of the variables."""
        trained, pictures = name in self.method.trained, batch.pictures

        def apply(variables: Variables, images: Any, image_hw: Any, keys: Any) -> Any:
            rngs = {"drop_path": keys[0]} if trained else {}
            return self.models[name].apply(variables, images, image_hw, rngs=rngs)

        keys = jax.random.split(jax.random.fold_in(key, list(self.models).index(name)), self.mesh.shape[DATA])
        with jax.named_scope(name):
            predictions = on_shards(apply, self.mesh)(variables, pictures.images, pictures.image_hw, keys)
        return predictions if trained else jax.lax.stop_gradient(predictions)

    def predict_frozen(self, variables: Mapping[Network, Variables], batch: Batch, key: Any) -> ByNetwork:
        """Predictions of the networks that only teach."""
        return {name: self.predict(name, variables[name], batch, key) for name in self.method.frozen}

    def predict_trained(self, variables: Mapping[Network, Variables], batch: Batch, key: Any) -> ByNetwork:
        """Predictions of the networks that are trained."""
        variables = with_params(variables, without_gradient(params_of(variables), self.frozen_parts))
        return {name: self.predict(name, variables[name], batch, key) for name in self.method.trained}

    def scene(self, batch: Batch, progress: Float[Array, ""]) -> Scene:
        """Scenes of a batch for assigner and losses; a picture that could not be read has no size, so no weight."""
        geometry = self.models["student"].options
        canvas = make_priors(batch.pictures.canvas, geometry.strides, geometry.anchor_scale)
        image_hw = jnp.where(batch.valid[:, None], batch.pictures.image_hw, 0)
        priors = jax.vmap(lambda hw: jax.tree.map(jnp.asarray, within(canvas, hw)))(image_hw)
        return Scene(priors, batch.truth, image_hw, jnp.broadcast_to(progress, batch.valid.shape))

    def sums(self, name: Network, predictions: ByNetwork, assigned: Assigned, scene: Scene) -> dict[str, Sums]:
        """The sums of one trained network's losses, by kind and image; each device's pictures by themselves."""
        sums = per_shard(partial(batch_sums, self.losses[name]), self.mesh)
        return sums(predictions[name], predictions.get("teacher"), assigned.assignment, scene)

    def targets(self, predictions: ByNetwork, batch: Batch, moment: Moment) -> Targets:
        """One assignment for all trained networks, and what their losses are divided by."""
        scene = self.scene(batch, moment.progress)
        assigned = assign_batch(
            predictions,
            scene,
            method=self.method,
            assigner=self.assigner,
            switch=self.switch,
            per_shard=partial(per_shard, mesh=self.mesh),
        )
        divisors = {}
        for name in self.method.trained:
            sums = self.sums(name, predictions, assigned, scene)
            divisors[name] = batch_divisors(self.losses[name], sums, batch.valid, self.normaliser_pictures)
        return jax.lax.stop_gradient(Targets(assigned, divisors))

    def loss(
        self, predictions: ByNetwork, batch: Batch, moment: Moment, targets: Targets | None = None
    ) -> tuple[Float[Array, ""], Measured]:
        """The loss of all trained networks.

        Args:
          predictions: of every network.
          batch: the pictures, or a part of them.
          moment: where in the training this is.
          targets: those of the part; by default those that the predictions themselves give.
        """
        targets = self.targets(predictions, batch, moment) if targets is None else targets
        scene = self.scene(batch, moment.progress)
        scalars: Scalars = {}
        finite: ByImage = {}
        for name in self.method.trained:
            sums = self.sums(name, predictions, targets.assigned, scene)
            terms = batch_terms(sums, targets.divisors[name])
            scalars |= {f"{name}/loss_{term}": value for term, value in terms.items()}
            of_images = [item for of_kind in sums.values() for item in of_kind.terms.items()]
            finite |= {f"{name}/loss_{term}": jnp.isfinite(value) for term, value in of_images}
        total = sum(scalars.values(), jnp.zeros(()))
        return total, Measured(scalars | {"loss": total}, finite, targets)

    def gradients(
        self, variables: Mapping[Network, Variables], batch: Batch, moment: Moment
    ) -> tuple[dict[Network, Any], Measured]:
        """Gradients of the whole batch at once, still one for each device, and what its loss is made of."""
        frozen = self.predict_frozen(variables, batch, moment.key)

        def loss(params: Mapping[Network, Any]) -> tuple[Float[Array, ""], Measured]:
            trained = self.predict_trained(with_params(variables, params), batch, moment.key)
            return self.loss({**frozen, **trained}, batch, moment)

        return jax.grad(loss, has_aux=True)(self.trained_params(variables))

    def trained_params(self, variables: Mapping[Network, Variables]) -> dict[Network, Any]:
        """The parameters that are trained, of all variables."""
        return {name: variables[name]["params"] for name in self.method.trained}

    @jax.named_scope("optimiser")
    def update(self, state: TrainState, gradients: Mapping[Network, Any]) -> TrainState:
        """The state after the gradients are applied, but for its step."""
        params = params_of(state.variables)
        updates, optimizer = self.optimizer.update(gradients, at_step(state.optimizer, state.step), params)
        new = optax.apply_updates(params, updates)
        ema = optax.incremental_update(new, state.ema, 1 - self.ema_decay) if state.ema else state.ema
        return state._replace(variables=with_params(state.variables, new), optimizer=optimizer, ema=ema)

    def report(
        self,
        measured: Measured,
        gradients: Mapping[Network, Any],
        batch: Batch,
        moment: Moment,
        scalars: Scalars,
        applied: Bool[Array, ""],
    ) -> StepOutput:
        """Report of a step; `scalars` has the figures that are neither of the losses nor of the assignment."""
        assigned = measured.targets.assigned
        figures = assignment_figures(assigned, self.scene(batch, moment.progress), self.method.costs_from)
        finite = Finite(measured.finite, parts_finite(gradients))
        scalars = measured.scalars | figures | scalars
        return StepOutput(scalars, applied, finite, assigned.broken, batch.position, batch.valid)

    @property
    def jitted(self) -> Any:
        """`step`, to be compiled once a canvas, with donated state."""
        # The state stays where it is: it passes from one canvas's program to another's. Every process reads the output.
        return jax.jit(self.step, donate_argnums=0, out_shardings=replicated(self.mesh))
