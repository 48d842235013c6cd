"""The programs of a run by shapes alone, lowered for devices that need not be there."""

import runpy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import numpy as np
from jax.sharding import Mesh

from lad_jax import RunOptions, from_config
from lad_jax.assign import AssignerOptions, make_assigner
from lad_jax.evaluation.detector import make_detector
from lad_jax.mesh import replicated, sharded
from lad_jax.models import ModelOptions
from lad_jax.options import run_name
from lad_jax.priors import make_priors
from lad_jax.run.build import make_model, make_models, make_train_step
from lad_jax.train.state import init_state, init_variables
from lad_jax.types import Batch, GroundTruth, Pictures, Precision, Predictions, Scene

REMAT = {"none": (False, False), "towers": (False, True), "all": (True, True)}
"""Values of `backbone.remat` and `remat_towers`, by name."""
STEPS_PER_EPOCH = 7330


@dataclass(frozen=True)
class Case:
    """A program to compile."""

    program: Literal["step", "detector", "assignment"]
    """The training step of a config, its student as a detector, or one assigner's costs and partition."""
    config: str
    """Config as `FILE` or `FILE:VARIANT`; for `assignment` an assigner's name."""
    topology: str
    remat: str
    """Key of `REMAT`."""
    pictures: int
    """Number of pictures on a chip."""
    height: int
    width: int
    objects: int
    classes: int
    dtype: Precision
    xla_flags: str = ""
    """Flags of XLA that it is compiled with."""

    @property
    def name(self) -> str:
        """Name for tables."""
        return self.config if self.program == "assignment" else run_name(self.config)


def lower(case: Case, mesh: Mesh) -> jax.stages.Lowered:
    """Lower a program as runs jit it.

    Args:
      case: which.
      mesh: devices; none of them need be there.
    """
    lowering: dict[str, Callable[[Case, Mesh], jax.stages.Lowered]] = {
        "step": lower_step,
        "detector": lower_detector,
        "assignment": lower_assignment,
    }
    return lowering[case.program](case, mesh)


def lower_step(case: Case, mesh: Mesh) -> jax.stages.Lowered:
    """Lower the training step of a config."""
    batch = batch_of(case, mesh)
    options = options_of(case, len(batch.position))
    roles = options.roles
    models = make_models(options, case.classes)
    train_step = make_train_step(options, models, steps_per_epoch=STEPS_PER_EPOCH, mesh=mesh)

    def start() -> Any:
        variables = {name: init_variables(model, seed=0) for name, model in models.items()}
        state = init_state(
            {name: variables[name] for name in roles.trained},
            train_step.optimizer,
            seed=options.seed,
            ema=options.optimizer.ema_decay > 0,
        )
        return state, {name: variables[name] for name in roles.frozen}

    state, frozen = jax.tree.map(lambda x: x.update(sharding=replicated(mesh)), jax.eval_shape(start))
    return train_step.jitted.lower(state, frozen, batch)


def lower_detector(case: Case, mesh: Mesh) -> jax.stages.Lowered:
    """Lower the student of a config as a detector on one device: network, NMS and voting."""
    pictures = batch_of(case, mesh).pictures
    options = options_of(case)
    model = make_model(options, "student", case.classes)
    variables = jax.eval_shape(lambda: init_variables(model, seed=0))
    variables = jax.tree.map(lambda x: x.update(sharding=replicated(mesh)), variables)
    return make_detector(model, options.evaluation.postprocess).lower(variables, pictures)


def lower_assignment(case: Case, mesh: Mesh) -> jax.stages.Lowered:
    """Lower costs and partition of an assigner, for the priors of a pyramid of strides 8 to 128."""
    assigner = make_assigner(AssignerOptions(name=case.config))
    priors = make_priors((case.height, case.width), (8, 16, 32, 64, 128), 8.0)
    truth, image_hw = (batch := batch_of(case, mesh)).truth, batch.pictures.image_hw

    def array(*shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((len(image_hw), len(priors.boxes), *shape), np.float32, sharding=sharded(mesh))

    predictions = Predictions(
        class_log_p=array(case.classes),
        class_log_not_p=array(case.classes),
        box_deltas=array(4),
        boxes=array(4),
        quality_logit=array(),
    )

    @jax.named_scope("assignment")
    def assign(predictions: Predictions, truth: GroundTruth, image_hw: Any) -> Any:
        scene = Scene(jax.tree.map(jax.numpy.asarray, priors), truth, image_hw, jax.numpy.asarray(0.5))
        return assigner.partition(assigner.cost(scene, predictions), scene)

    return jax.jit(jax.vmap(assign)).lower(predictions, truth, image_hw)


def options_of(case: Case, batch_size: int | None = None) -> RunOptions:
    """Options of the config, with the case's dtype, and its `remat` for every network.

    Args:
      case: names the config.
      batch_size: pictures of a step, where they are not the config's.
    """
    path, _, variant = case.config.partition(":")
    options = from_config(RunOptions, runpy.run_path(path)["get_config"](*filter(None, [variant])))

    def change(model: ModelOptions) -> ModelOptions:
        backbone, towers = REMAT[case.remat]
        return replace(model, remat_towers=towers, backbone=replace(model.backbone, remat=backbone))

    teacher, *peers = (replace(other, model=change(other.model)) for other in options.others.values())
    train = replace(options.train, batch_size=batch_size or options.train.batch_size)
    networks = {"model": change(options.model), "teacher": teacher, "peers": tuple(peers)}
    return replace(options, **networks, dtype=case.dtype, train=train)


def batch_of(case: Case, mesh: Mesh) -> Batch:
    """Shapes and shardings of a batch."""
    n = case.pictures * mesh.size

    def array(dtype: Any, *shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((n, *shape), dtype)

    batch = Batch(
        pictures=Pictures(
            images=array(np.uint8, case.height, case.width, 3), image_hw=array(np.int32, 2), scale=array(np.float32, 2)
        ),
        truth=GroundTruth(
            boxes=array(np.float32, case.objects, 4),
            labels=array(np.int32, case.objects),
            mask=array(bool, case.objects),
            crowd=array(bool, case.objects),
        ),
        position=array(np.int32),
        valid=array(bool),
    )
    return jax.tree.map(lambda x: x.update(sharding=sharded(mesh)), batch)
