"""Steps with `config.debug`: an error names the layer whose output is the first that is not finite.

JAX's switch, `jax_debug_nans`, names an operation and no layer, takes every NaN for an error, also one that a mask
keeps out, and runs the step again on a state that was given away to the first run. Here the state is still there: a
step that is not finite has changed nothing in it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict
from jax.sharding import Mesh

from lad_jax.data import DataSet
from lad_jax.errors import InputError
from lad_jax.mesh import share
from lad_jax.models import Detector
from lad_jax.train.finite import explain
from lad_jax.train.nouns import StepOutput
from lad_jax.train.state import TrainState, Variables
from lad_jax.train.step import StepFunction
from lad_jax.types import Batch, Network


def debugged(step: StepFunction, models: Mapping[Network, Detector], dataset: DataSet, mesh: Mesh) -> StepFunction:
    """A step that ends the run where it is not applied.

    The host waits for each step, and does nothing meanwhile.

    Args:
      step: the compiled step.
      models: every network of the method.
      dataset: the one of the batches.
      mesh: the devices of the batches. A batch that is inspected goes to each of them whole.

    Raises (when called):
      InputError: names step, terms, pictures and layer.
    """

    def run(state: TrainState, frozen: Mapping[Network, Variables], batch: Batch) -> tuple[TrainState, StepOutput]:
        state, output = step(state, frozen, batch)
        if not jax.device_get(output.applied):
            layer = first_not_finite(models, {**frozen, **state.variables}, share(mesh)(batch))
            origin = f"It comes from {layer}" if layer else "Every layer's output is finite: it comes after them"
            ids = [dataset.records[i].id for i in jax.device_get(output.position).tolist()]
            raise InputError(
                f"step {jax.device_get(state.step)}: {explain(jax.device_get(output.finite), ids)}. {origin}."
            )
        return state, output

    return run


def first_not_finite(
    models: Mapping[Network, Detector], variables: Mapping[Network, Variables], batch: Batch
) -> str | None:
    """The first layer, as `student/backbone/layer2_0/conv1`, whose output on a batch is not finite, though all before
    it are; None where every layer's is. Without drop path."""
    for network, model in models.items():
        finite = _finite_by_layer(model.apply, variables[network], batch)
        for path, ok in finite.items():
            if not ok:
                return "/".join([network, *path])
    return None


def _finite_by_layer(apply: Callable[..., Any], variables: Variables, batch: Batch) -> dict[tuple[str, ...], bool]:
    """Whether the outputs of each layer are finite, in the order of their computation: a block after its layers."""
    done: dict[tuple[str, ...], None] = {}

    def note(call: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        outputs = call(*args, **kwargs)
        if context.method_name == "__call__":
            done.setdefault((*context.module.path, "__call__"))
        return outputs

    @jax.jit
    def run(variables: Variables, batch: Batch) -> Any:
        with nn.intercept_methods(note):
            images, image_hw, _ = batch.pictures
            _, captured = apply(variables, images, image_hw, capture_intermediates=True, mutable=["intermediates"])
        outputs = flatten_dict(captured["intermediates"])
        return {path: all_finite(x) for path, x in outputs.items()}

    def all_finite(outputs: Any) -> Any:
        return jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(outputs)]))

    finite = jax.device_get(run(variables, batch))
    return {path[:-1]: bool(finite[path]) for path in done}
