"""SGD and AdamW as the references train with them, and their schedule (spec 9.1 and 9.3), from optax."""

import itertools
import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import jax
import optax
from jaxtyping import Array, Int

from lad_jax.fields import check_range, option
from lad_jax.models import ModelOptions
from lad_jax.models.backbones import is_frozen
from lad_jax.models.heads import CLASSIFIER
from lad_jax.types import Network

REFERENCE_BATCH = 16
"""Batch size that `OptimizerOptions.learning_rate` is meant for."""


@dataclass(frozen=True)
class PartOptions:
    """Factor of the learning rate for each part of the trained networks; 0: the part is frozen."""

    backbone: float = 1.0
    """Factor for the backbone; `model.backbone.frozen_stages` freezes some of its stages alone."""
    neck: float = 1.0
    """Factor for the feature pyramid."""
    head: float = 1.0
    """Factor for the head, but for its classifier."""
    classifier: float = 1.0
    """Factor for the head's last convolution to the classes."""

    def __post_init__(self) -> None:
        check_range(self, *(field.name for field in fields(self)), least=0)
        if len(self.frozen) == len(fields(self)):
            raise ValueError("all parts have the factor 0, so nothing would be trained: set one above 0")

    @property
    def frozen(self) -> frozenset[str]:
        """Names of the parts that are not trained."""
        return frozenset(field.name for field in fields(self) if not getattr(self, field.name))


@dataclass(frozen=True)
class OptimizerOptions:
    """Options of SGD with momentum and coupled weight decay, or AdamW; linear warm-up, then steps or a cosine."""

    kind: Literal["sgd", "adamw"] = "sgd"
    """Optimiser."""
    learning_rate: float = option(0.01, may_change=True)
    """Learning rate for a batch of 16."""
    scale_learning_rate: bool = True
    """Whether `learning_rate` is multiplied by batch / 16."""
    lr_factors: PartOptions = PartOptions()
    momentum: float = 0.9
    """Momentum of SGD."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of AdamW's averages of the gradient and of its square."""
    weight_decay: float = 1e-4
    """Weight decay. SGD: added to the gradient before the momentum, as in torch. AdamW: decoupled."""
    no_decay: tuple[str, ...] = ()
    """Parameters with one of these in their path have no weight decay; empty: all have. As with mmdet's names, `norm`
    covers Swin's layer norms, but not the head's group norms, which are named `gn`."""
    warmup_steps: int = 500
    """Steps in which the learning rate rises, linearly, to its full value; 0: none."""
    warmup_factor: float = 0.001
    """Share of the learning rate that the warm-up starts from."""
    schedule: Literal["steps", "cosine"] = "steps"
    """Way in which the learning rate falls: at `decay_epochs`, or along half a cosine to 0 at the run's end."""
    decay_epochs: tuple[int | float, ...] = (2 / 3, 11 / 12)
    """Schedule `steps`: epochs after which the learning rate falls by `decay_factor`, all before the run's end; or
    shares of the run, between 0 and 1, each of which is rounded to the nearest step; empty: never."""
    decay_factor: float = 0.1
    """Factor of the learning rate at each of `decay_epochs`."""
    clip_norm: float = option(0.0, may_change=True)
    """Upper bound of the norm of a network's gradient; 0: none."""
    ema_decay: float = 0.0
    """Decay of the exponential moving average of the weights, which is then what is evaluated; 0: none."""

    def __post_init__(self) -> None:
        check_range(self, "momentum", "betas", "ema_decay", "warmup_factor", least=0, below=1)
        check_range(self, "decay_factor", least=0, most=1)
        check_range(self, "learning_rate", "weight_decay", "warmup_steps", "clip_norm", least=0)
        self._check_decay()

    def _check_decay(self) -> None:
        decays = self.decay_epochs
        epochs = all(isinstance(decay, int) and decay >= 1 for decay in decays)
        shares = all(isinstance(decay, float) and 0 < decay < 1 for decay in decays)
        rises = all(before < after for before, after in itertools.pairwise(decays))
        if not (rises and (epochs or shares)):
            raise ValueError(
                f"decay_epochs is {decays}; it must rise, and list either epochs, which are integers of at least 1, or "
                "shares of the run, between 0 and 1: (16, 22) and (0.67, 0.92) are almost the same for 24 epochs"
            )


def peak_learning_rate(options: OptimizerOptions, batch_size: int) -> float:
    """The learning rate after warm-up."""
    return options.learning_rate * (batch_size / REFERENCE_BATCH if options.scale_learning_rate else 1.0)


def decay_steps(decay_epochs: tuple[int | float, ...], *, epochs: int, steps_per_epoch: int) -> list[int]:
    """Steps from which on the learning rate is lower: the first after each epoch, or after each share of the run.

    Args:
      decay_epochs: integers, or floats between 0 and 1; see `OptimizerOptions`.
      epochs: number of epochs of the run.
      steps_per_epoch: number of batches of an epoch.
    """
    return [
        decay * steps_per_epoch if isinstance(decay, int) else math.floor(decay * epochs * steps_per_epoch + 0.5)
        for decay in decay_epochs
    ]


def make_schedule(options: OptimizerOptions, *, batch_size: int, epochs: int, steps_per_epoch: int) -> optax.Schedule:
    """Learning rate by step: linear warm-up from `warmup_factor`, times the decay of `options.schedule`.

    As in the references the decay counts from the run's start, and multiplies the warm-up should they overlap.
    """
    peak = peak_learning_rate(options, batch_size)
    if options.schedule == "cosine":
        decay = optax.cosine_decay_schedule(peak, epochs * steps_per_epoch)
    else:
        decays = Counter(decay_steps(options.decay_epochs, epochs=epochs, steps_per_epoch=steps_per_epoch))
        # Shares of a run of few steps can fall on the same one.
        factors = {step: options.decay_factor**times for step, times in decays.items()}
        decay = optax.piecewise_constant_schedule(peak, factors)
    warmup = optax.linear_schedule(options.warmup_factor, 1.0, options.warmup_steps)
    return lambda step: decay(step) * (warmup(step) if options.warmup_steps else 1.0)


def make_optimizer(
    options: OptimizerOptions, schedule: optax.Schedule, models: Mapping[Network, ModelOptions]
) -> optax.GradientTransformation:
    """The update of `{network: params}`: clipped, decayed, by SGD or AdamW, times the factor of each part.

    Frozen parts, and frozen stages of backbones, never move, and have no momentum.

    Args:
      options: the kind and its constants.
      schedule: learning rate by step.
      models: the trained networks; their options say which stages are frozen.
    """

    def label(path: tuple[Any, ...], _: Any) -> str:
        network, module, *rest = (key.key for key in path)
        frozen_stage = module == "backbone" and is_frozen(tuple(rest), models[network].backbone)
        return "frozen" if frozen_stage or part_of(path) in options.lr_factors.frozen else network

    # The same chain with and without clipping, so that a run can be resumed with the other.
    clip = optax.clip_by_global_norm(options.clip_norm) if options.clip_norm else optax.identity()
    decay = _weight_decay(options.weight_decay, options.no_decay)
    if options.kind == "sgd":
        update = optax.chain(clip, decay, optax.sgd(schedule, momentum=options.momentum))
    else:
        adam = optax.scale_by_adam(*options.betas)
        update = optax.chain(clip, adam, decay, optax.scale_by_learning_rate(schedule))
    # One group a network: of two that are trained together, neither's gradient clips the other's.
    whole = optax.partition(
        {**dict.fromkeys(models, update), "frozen": optax.set_to_zero()},
        lambda params: jax.tree_util.tree_map_with_path(label, params),
    )
    return whole if options.lr_factors == PartOptions() else optax.chain(whole, _scale_parts(options.lr_factors))


def part_of(path: tuple[Any, ...]) -> str:
    """The part, a field of `PartOptions`, of the parameter at a path in `{network: params}`."""
    _, module, name, *_ = (*(key.key for key in path), "")
    if module == "bbox_head":
        return "classifier" if name == CLASSIFIER else "head"
    return module


def without_gradient(params: Mapping[Network, Any], parts: Collection[str]) -> Mapping[Network, Any]:
    """The same `{network: params}`, of which some parts get no gradient."""
    return jax.tree_util.tree_map_with_path(
        lambda path, x: jax.lax.stop_gradient(x) if part_of(path) in parts else x, params
    )


def at_step(state: optax.OptState, step: Int[Array, ""]) -> optax.OptState:
    """An optimiser's state with its schedule at the run's step, which is ahead where steps were left out.

    Other counts stay: AdamW corrects its averages by how many gradients are in them.
    """

    def is_schedule(x: Any) -> bool:
        return isinstance(x, optax.ScaleByScheduleState)

    return jax.tree.map(lambda x: x._replace(count=step) if is_schedule(x) else x, state, is_leaf=is_schedule)


def _scale_parts(factors: PartOptions) -> optax.GradientTransformation:
    """The update of each part times its factor."""
    return optax.partition(
        {field.name: optax.scale(getattr(factors, field.name)) for field in fields(factors)},
        lambda params: jax.tree_util.tree_map_with_path(lambda path, _: part_of(path), params),
    )


def _weight_decay(rate: float, no_decay: tuple[str, ...]) -> optax.GradientTransformation:
    """Add `rate` times the parameter to the update; not for parameters with one of `no_decay` in their path."""

    def add(path: tuple[Any, ...], update: Any, parameter: Any) -> Any:
        _, *rest = (key.key for key in path)
        exempt = any(word in "/".join(rest) for word in no_decay)
        return update if exempt else update + rate * parameter

    return optax.stateless(lambda updates, params: jax.tree_util.tree_map_with_path(add, updates, params))
