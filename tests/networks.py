"""The tiny networks of the tests, and batches for them: few shapes, so that a program is compiled once and then found
in the cache.
"""

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh

from lad_jax.assign import AssignerOptions, make_assigner
from lad_jax.config import from_config, to_config
from lad_jax.distill import Method, SwitchOptions
from lad_jax.losses import LossSetting, SoftOptions, make_losses
from lad_jax.mesh import MeshOptions, make_mesh
from lad_jax.models import Detector, ModelOptions, ResNetOptions, SwinOptions
from lad_jax.models.detector import normalise
from lad_jax.priors import make_priors
from lad_jax.train.optimizer import OptimizerOptions, make_optimizer
from lad_jax.train.state import TrainState, Variables, init_state, init_variables
from lad_jax.train.step import TrainStep
from lad_jax.types import Batch, GroundTruth, Network, Pictures, Predictions, Priors
from tests.reference.example import predictions_of, truth_of

TINY: Mapping[str, Any] = {
    "backbone.depth": 10,
    "backbone.width": 8,
    "backbone.norm": "frozen_batch",
    "backbone.frozen_stages": -1,
    "backbone.pretrained": "",
    "first_level": 4,
    "n_levels": 2,
    "anchor_scale": 2.0,
    "channels": 16,
    "tower_convs": 1,
    "norm_groups": 4,
}
"""Options of the network that most tests train, also as keys of a config: under `model.` or `teacher.model.`."""


def _tiny() -> ModelOptions:
    config = to_config(ModelOptions())
    config.update_from_flattened_dict(TINY)
    return from_config(ModelOptions, config)


OPTIONS, N_CLASSES, CANVAS = _tiny(), 3, (64, 96)
MODEL = Detector(OPTIONS, N_CLASSES)


class OneLayer(Detector):
    """A network that sees one pixel a cell, for tests of what comes behind networks: it compiles in a second."""

    @nn.compact
    def __call__(self, images: Any, image_hw: Any) -> Predictions:
        x, layer = normalise(images, image_hw, self.options), nn.Dense(self.n_classes + 5, name="bbox_head")
        outputs = [layer(x[:, ::stride, ::stride]) for stride in self.options.strides]
        raw = jnp.concatenate([level.reshape(len(x), -1, self.n_classes + 5) for level in outputs], axis=1)
        priors = make_priors(images.shape[1:3], self.options.strides, self.options.anchor_scale)
        logits, deltas, quality = jnp.split(raw, [self.n_classes, self.n_classes + 4], axis=2)
        return predictions_of(logits - 3, deltas, quality[..., 0], priors.boxes[None])


ONE_LAYER = OneLayer(OPTIONS, N_CLASSES)

RESNEXT = ResNetOptions(depth=14, width=8, frozen_stages=-1, groups=2, group_width=4)
BACKBONES = {
    "basic": replace(OPTIONS.backbone, norm="group", norm_groups=4),
    "caffe": ResNetOptions(depth=14, width=4, frozen_stages=-1, style="caffe"),
    "resnext": RESNEXT,
    "dcn": replace(RESNEXT, deformable_stages=(3, 4)),
    "swin": SwinOptions(embed=8, depths=(1, 1, 2, 1), heads=(1, 2, 2, 4), window=4, drop_path=0.3),
}
"""One of every family, with what a network can have."""


def of_family(family: str, **changes: Any) -> ModelOptions:
    """The tiny network with another backbone, from the level up that all of them share."""
    family_options: dict[str, Any] = {"backbone": BACKBONES[family], "deformable_towers": family == "dcn"}
    return replace(OPTIONS, first_level=3, **{"n_levels": 3, "anchor_scale": 4.0, **family_options, **changes})


@functools.cache
def varied(model: Detector, seed: int) -> Variables:
    """Starting weights, the head's made larger so that predictions, and with them the costs, vary."""
    return jax.tree_util.tree_map_with_path(
        lambda path, x: x * 8 if path[1].key == "bbox_head" and path[-1].key == "kernel" else x,
        init_variables(model, seed),
    )


def random_predictions(priors: Priors, seed: int) -> Predictions:
    """What a network that has learned something else may predict, in batches."""
    rng, shape = np.random.default_rng(seed), priors.valid.shape
    raw = (rng.normal(-3, 1, (*shape, N_CLASSES)), rng.normal(0, 0.8, (*shape, 4)), rng.normal(0, 1, shape))
    return predictions_of(*(x.astype(np.float32) for x in raw), priors.boxes)


def batch_of(images: np.ndarray, truth: GroundTruth, image_hw: Any = None) -> Batch:
    """A batch of pictures that all count, of their canvas's size unless `image_hw` says less."""
    n = len(images)
    hw = jnp.asarray([images.shape[1:3]] * n if image_hw is None else image_hw, jnp.int32)
    return Batch(Pictures(jnp.asarray(images), hw, jnp.ones((n, 2))), truth, jnp.arange(n), jnp.ones(n, bool))


def noise(n: int, canvas: tuple[int, int] = CANVAS, seed: int = 0) -> np.ndarray:
    """Pictures of random pixels."""
    return np.random.default_rng(seed).integers(0, 256, (n, *canvas, 3), np.uint8)


def objects(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of all sizes on the canvas, and their labels."""
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(0, (60, 40), (n, 2)), np.exp(rng.uniform(2, 4, (n, 2)))
    return np.concatenate([corner, corner + side], axis=1), rng.integers(0, N_CLASSES, n)


def make_batch(n: int = 4, size: int = 8) -> Batch:
    """Pictures with one to four objects, padded to `size`; every other one smaller than the canvas."""
    truth = truth_of([objects(i, i % 4 + 1) for i in range(n)], size)
    return batch_of(noise(n), truth, [CANVAS if i % 2 else (50, 60) for i in range(n)])


def padded(batch: Batch, extra: int) -> Batch:
    """A batch with more rows, of junk that does not count, and more object rows."""
    n = len(batch.valid)
    junk = make_batch(n + extra, 16)
    truth = truth_of([objects(i, i % 4 + 1) for i in range(n)] + [objects(9, 3)] * extra, 16)
    images = jnp.concatenate([batch.pictures.images, junk.pictures.images[n:]])
    return junk._replace(pictures=junk.pictures._replace(images=images), truth=truth, valid=jnp.arange(n + extra) < n)


RATE, SOFT = 0.01, SoftOptions()
ONE_DEVICE = make_mesh(MeshOptions(data=1), {})


def train_step(
    method: Method, model: Detector = MODEL, *, soft: SoftOptions = SOFT, mesh: Mesh = ONE_DEVICE, **fields: Any
) -> TrainStep:
    """The training step of a method whose networks are all alike; `fields` are those of `TrainStep` that differ."""
    optimizer = make_optimizer(OptimizerOptions(), lambda _: RATE, dict.fromkeys(method.trained, model.options))
    setting = LossSetting(box_weighting=method.box_weighting, soft=soft)
    defaults: dict[str, Any] = {
        "models": dict.fromkeys(method.networks, model),
        "assigner": make_assigner(AssignerOptions()),
        "switch": SwitchOptions(),
        "losses": dict.fromkeys(method.trained, make_losses(method.losses, setting)),
        "optimizer": optimizer,
        "schedule": lambda _: RATE,
        "total_steps": 10,
    }
    return TrainStep(method=method, mesh=mesh, **{**defaults, **fields})


def start(step: TrainStep, networks: Mapping[Network, Variables]) -> tuple[TrainState, dict[Network, Variables]]:
    """The state before the first step, and the frozen networks."""
    trained, frozen = ({n: networks[n] for n in names} for names in (step.method.trained, step.method.frozen))
    return init_state(trained, step.optimizer, seed=0, ema=step.ema_decay > 0), frozen
