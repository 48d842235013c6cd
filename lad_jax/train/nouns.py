"""Nouns of a training step: what its methods pass to each other, and its report."""

from collections.abc import Mapping
from typing import NamedTuple

from jaxtyping import Array, Bool, Float, Int

from lad_jax.distill import Assigned
from lad_jax.losses import PerImage, Scalars
from lad_jax.train.finite import ByImage, Finite
from lad_jax.types import Network, Predictions

ByNetwork = Mapping[Network, Predictions]


class StepOutput(NamedTuple):
    """Report of a step, besides the new state."""

    scalars: Scalars
    """Figures for the log, by name."""
    applied: Bool[Array, ""]
    """False where something was not finite: the state is then the one before, but for its step."""
    finite: Finite
    """Flags that name the cause where `applied` is False."""
    broken: Bool[Array, " B"]
    """Images for which a network gave a cost that is not finite."""
    position: Int[Array, " B"]
    """Positions of the pictures in the data set."""
    valid: Bool[Array, " B"]
    """False for rows without a picture that could be read."""


class Targets(NamedTuple):
    """Constants that the losses of a batch are measured against, found from its predictions as a whole."""

    assigned: Assigned
    """One assignment for all trained networks."""
    divisors: dict[Network, PerImage]
    """Divisors of the loss terms of each trained network, image by image."""


class Moment(NamedTuple):
    """Place of a step in the training."""

    key: Array
    """Random key that the networks draw from in training (drop path)."""
    progress: Float[Array, ""]
    """Share of the training that is over, 0…1."""


class Measured(NamedTuple):
    """Parts of a loss."""

    scalars: Scalars
    """The loss and its terms, by name."""
    finite: ByImage
    """Flags of the images whose terms are finite, by name of the term."""
    targets: Targets
    """Assignment and divisors that the loss was computed with."""
