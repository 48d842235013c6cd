"""Networks and the training step by options: the one way for runs, benchmarks and tests."""

from collections.abc import Mapping

from jax.sharding import Mesh

from lad_jax.assign import Assigner, make_assigner
from lad_jax.losses import LossSetting, make_losses
from lad_jax.models import Detector, ModelOptions
from lad_jax.options import RunOptions
from lad_jax.train.optimizer import make_optimizer, make_schedule
from lad_jax.train.step import TrainStep
from lad_jax.types import Network


def make_model(options: RunOptions, network: Network, n_classes: int) -> Detector:
    """The network of a run that has the name `network`."""
    return Detector(options.model_of(network), n_classes, options.dtype)


def make_models(options: RunOptions, n_classes: int) -> dict[Network, Detector]:
    """Networks of the method, by name."""
    return {name: make_model(options, name, n_classes) for name in options.roles.networks}


def loss_setting(options: RunOptions, assigner: Assigner, model: ModelOptions) -> LossSetting:
    """Settings of one network's losses, where an option leaves a choice to the assigner or the method.

    Args:
      options: options of the run.
      assigner: the one that they name.
      model: options of the network.
    """
    losses = options.losses
    quality_target = assigner.quality_target if losses.quality_target == "assigner" else losses.quality_target
    class_loss = losses.class_loss
    if class_loss == "assigner":
        class_loss = "quality_focal" if assigner.soft_target else "focal"
    box_weighting = options.roles.box_weighting if losses.box_weighting == "method" else losses.box_weighting
    if assigner.soft_target:
        box_weighting = "target"
    elif losses.box_weighting == "method" and quality_target == "iou" and not model.iou_branch:
        box_weighting = "uniform"  # as released, for heads without the branch
    return LossSetting(
        class_loss=class_loss,
        class_weight=losses.class_weight,
        box_weighting=box_weighting,
        box_weight=losses.box_weight,
        quality_target=quality_target,
        quality_weight=losses.quality_weight,
        soft=options.soft,
        bounded=model.objectness != "none",
        free_anchor=options.free_anchor,
    )


def make_train_step(
    options: RunOptions, models: Mapping[Network, Detector], *, steps_per_epoch: int, mesh: Mesh
) -> TrainStep:
    """The training step that the options ask for.

    Args:
      options: options of the run.
      models: networks of the method, from `make_models`.
      steps_per_epoch: number of batches of an epoch.
      mesh: devices of the run.
    """
    method, train, assigner = options.roles, options.train, make_assigner(options.assigner)
    schedule = make_schedule(
        options.optimizer, batch_size=train.batch_size, epochs=train.epochs, steps_per_epoch=steps_per_epoch
    )
    settings = {name: loss_setting(options, assigner, models[name].options) for name in method.trained}
    return TrainStep(
        method=method,
        models=models,
        assigner=assigner,
        switch=options.switch,
        losses={name: make_losses(method.losses, setting) for name, setting in settings.items()},
        optimizer=make_optimizer(options.optimizer, schedule, {name: models[name].options for name in method.trained}),
        schedule=schedule,
        mesh=mesh,
        total_steps=steps_per_epoch * train.epochs,
        ema_decay=options.optimizer.ema_decay,
        normaliser_pictures=options.losses.normaliser_pictures,
        accumulate=train.accumulate,
        gradients_in=train.gradients,
        frozen_parts=options.optimizer.lr_factors.frozen,
    )
