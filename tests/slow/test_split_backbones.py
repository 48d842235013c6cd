"""Backbones whose rows are split over two devices by XLA's partitioner alone: the gradients of one device."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.mesh import MeshOptions, by_part, make_mesh, replicate, split_batch
from lad_jax.models import Detector
from lad_jax.train.state import init_variables
from lad_jax.types import Batch
from tests.networks import of_family
from tests.reference.example import truth_of


def batch_of(height):
    images = np.random.default_rng(0).integers(0, 256, (2, height, 96, 3), np.uint8)
    hw, rows = np.asarray([(height, 96), (height - 14, 60)], np.int32), np.arange(2, dtype=np.int32)
    truth = jax.tree.map(np.asarray, truth_of([([[5.0, 8, 40, 50]], [0])] * 2))
    return Batch(images, truth, hw, hw, np.ones((2, 2), np.float32), rows, rows >= 0)


@pytest.mark.slow
@pytest.mark.parametrize("height", [64, 96, 160])
@pytest.mark.parametrize("family", ["swin", "dcn"])
def test_gradients_are_those_of_one_device(family, height):
    """With maps that divide, stop dividing on the way, and have windows on both devices; offsets are not zero."""
    model = Detector(of_family(family), 3)
    noise = np.random.default_rng(1)
    variables = jax.tree.map(
        lambda x: np.asarray(x + 0.02 * noise.normal(size=x.shape), x.dtype), init_variables(model, 0)
    )
    found = {}
    for spatial in (1, 2):
        mesh = make_mesh(MeshOptions(1, spatial), {})
        apply = by_part(lambda variables, batch: model.apply(variables, batch.images, batch.image_hw), mesh)

        def loss(params, rest, batch, apply=apply):
            """A weighted sum over all that is predicted, which tells a shifted map from a right one."""
            out = apply({**rest, "params": params}, batch)
            return sum(jnp.sum(x / 100 * jnp.cos(jnp.arange(x.size)).reshape(x.shape)) for x in jax.tree.leaves(out))

        rest = {name: x for name, x in variables.items() if name != "params"}
        given = replicate((variables["params"], rest), mesh)
        found[spatial] = jax.jit(jax.value_and_grad(loss))(*given, split_batch(batch_of(height), mesh))

    def error(ours, expected):
        """Relative to the array's largest."""
        return float(np.abs(np.asarray(ours) - expected).max() / (np.abs(expected).max() + 1e-6))

    (ours, gradients), (expected, expected_gradients) = found[2], found[1]
    np.testing.assert_allclose(ours, expected, atol=1e-4)  # a sum of thousands of numbers of both signs
    errors = jax.tree_util.tree_leaves_with_path(jax.tree.map(error, gradients, expected_gradients))
    assert not {jax.tree_util.keystr(path): value for path, value in errors if value > 1e-3}
