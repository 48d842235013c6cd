"""Where the batches of an evaluation are computed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from lad_jax.types import Batch


class Placement(NamedTuple):
    """The devices, as an evaluation needs to know them; made from a mesh by `train.sharding.placement`."""

    rows: Int[np.ndarray, " b"]
    """Of each batch, those that this process reads."""
    layout: Callable[[Batch], Any]
    """Where the arrays of a whole batch lie, once it is on the devices."""
    place: Callable[[Batch], Batch]
    """Puts a batch on the devices; the whole, where the processes have parts."""
    share: Callable[[Any], Any]
    """Gives what lies on the devices of all processes to each of them."""
