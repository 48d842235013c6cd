"""What passes between the methods of a training step."""

from collections.abc import Mapping
from typing import NamedTuple

from jaxtyping import Array, Bool, Float, Int

from lad_jax.distill import Assigned
from lad_jax.losses import PerImage, Scalars
from lad_jax.train.finite import ByImage, Finite
from lad_jax.types import Network, Predictions

ByNetwork = Mapping[Network, Predictions]


class StepOutput(NamedTuple):
    """What a step reports besides the new state."""

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
    divisors: dict[Network, PerImage]
    """What each trained network's loss terms are divided by."""


class Moment(NamedTuple):
    """Where in the training a step is."""

    key: Array
    """What the networks draw from in training (drop path)."""
    progress: Float[Array, ""]
    """Share of the training that is over, 0…1."""


class Measured(NamedTuple):
    """What a loss is made of."""

    scalars: Scalars
    """The loss and its terms, by name."""
    finite: ByImage
    targets: Targets
