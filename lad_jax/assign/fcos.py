"""FCOS's assignment: points inside boxes, sizes by level (Tian et al., 2019)."""

from dataclasses import dataclass
from functools import partial

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from lad_jax import boxes
from lad_jax.assign import pairs
from lad_jax.assign.base import Assigner
from lad_jax.fields import check_range
from lad_jax.types import Assignment, CostTable, Levels, Predictions, Scene

LARGEST_AREA = 1e8
"""Area from which on an object has no priors [pixels²]."""
FARTHEST = 1e8
"""Farthest side of an object on the last level [pixels]."""


@dataclass(frozen=True)
class FCOSOptions:
    """Options of FCOS's assignment."""

    centre_radius: float = 1.5
    """Half the side of the window around an object's centre in which points are positive [strides]; 0: no window."""
    range_strides: float = 8.0
    """Farthest side of an object on a level, which is the nearest on the next [strides]; the first level has no
    lower limit, the last no upper one. On levels of stride 8 to 128: 64, 128, 256 and 512 pixels."""

    def __post_init__(self) -> None:
        check_range(self, "centre_radius", "range_strides", least=0)


def make_fcos(options: FCOSOptions) -> Assigner:
    """The two functions, closed over the options."""
    return Assigner(partial(cost, options=options), partition, static=True, quality_target="centerness")


def cost(scene: Scene, predictions: Predictions, *, options: FCOSOptions) -> CostTable:
    """Side of a square of the object's area, for priors whose point may be the object's [pixels].

    The point must lie in the object and, by `centre_radius`, near its centre; and the object's farthest side must be in
    the range of the prior's level. Predictions do not enter.
    """
    area = boxes.area(scene.truth.boxes)[:, None]
    inside = pairs.depth_in_box(scene) > 0
    if options.centre_radius:
        inside &= pairs.depth_in_window(scene, options.centre_radius) > 0
    eligible = inside & _in_range(scene, options.range_strides) & (area < LARGEST_AREA)
    side = jnp.broadcast_to(jnp.sqrt(jnp.maximum(area, 0.0)), eligible.shape)
    return pairs.make_table(scene, side, compared=eligible, eligible=eligible)


def partition(table: CostTable, scene: Scene) -> Assignment:
    """Every prior goes to the smallest object that may have it, the first of equals."""
    return pairs.make_assignment(scene, pairs.preferred(table.object >= 0, -table.cost))


def _in_range(scene: Scene, range_strides: float) -> Bool[Array, "G A"]:
    """Whether the farthest side of the object, from the prior's point, is in the range of the prior's level."""
    (x, y), (x1, y1, x2, y2) = pairs.points(scene.priors), pairs.corners(scene)
    farthest = jnp.maximum(jnp.maximum(x - x1, x2 - x), jnp.maximum(y - y1, y2 - y))
    low, high = _ranges(scene.priors.levels, range_strides)
    return (farthest >= low[None]) & (farthest <= high[None])


def _ranges(levels: Levels, range_strides: float) -> tuple[Float[np.ndarray, " A"], Float[np.ndarray, " A"]]:
    """Least and greatest distance of an object's farthest side, by prior [pixels]."""
    limits = range_strides * np.asarray(levels.strides[:-1], np.float32)
    low, high = np.concatenate([[-1], limits]), np.concatenate([limits, [FARTHEST]])
    return low.astype(np.float32)[levels.of_prior], high.astype(np.float32)[levels.of_prior]
