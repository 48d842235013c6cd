"""Networks and the training step by options: the one way for runs, benchmarks and tests."""

from collections.abc import Mapping

from jax.sharding import Mesh

from lad_jax.assign import make_assigner
from lad_jax.losses import LossSetting, make_losses
from lad_jax.models import Detector
from lad_jax.options import RunOptions
from lad_jax.train.optimizer import make_optimizer, make_schedule
from lad_jax.train.step import TrainStep
from lad_jax.types import Network


def make_models(options: RunOptions, n_classes: int) -> dict[Network, Detector]:
    """Networks of the method, by name."""
    return {name: Detector(options.model_of(name), n_classes) for name in options.roles.networks}


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
    method, train = options.roles, options.train
    schedule = make_schedule(options.optimizer, batch_size=train.batch_size, steps_per_epoch=steps_per_epoch)
    settings = {
        name: LossSetting(method.box_weighting, options.soft, bounded=models[name].options.objectness != "none")
        for name in method.trained
    }
    return TrainStep(
        method=method,
        models=models,
        assigner=make_assigner(options.assigner),
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
    )
