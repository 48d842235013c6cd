"""Where arrays lie: pictures split over the devices, everything else on each of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lad_jax.errors import InputError
from lad_jax.types import Batch

T = TypeVar("T")
DATA, SPATIAL = "data", "spatial"
"""Names of the mesh axes: the first splits the batch, the second the height of pictures and feature maps."""


@dataclass(frozen=True)
class MeshOptions:
    """How many devices each axis has; at most one can be -1: all that are left."""

    data: int = -1
    """Parts of the batch."""
    spatial: int = 1
    """Parts of a picture's height: for more devices than a batch has pictures."""

    def __post_init__(self) -> None:
        for name in (DATA, SPATIAL):
            if getattr(self, name) < 1 and getattr(self, name) != -1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1, or -1: all devices")
        if self.data == self.spatial == -1:
            raise ValueError("data and spatial are both -1; one of them must be a number")


def make_mesh(options: MeshOptions, batch_sizes: Mapping[str, int]) -> Mesh:
    """A mesh over the first `data` x `spatial` devices.

    Args:
      options: value of `config.mesh`.
      batch_sizes: by what they are, for messages: the numbers of pictures that must divide among `data`.

    Raises:
      InputError: more devices than there are, or pictures that do not divide among them.
    """
    devices = jax.devices()
    data, spatial = options.data, options.spatial
    if -1 in (data, spatial):
        rest = len(devices) // max(data, spatial)
        data, spatial = (rest if n == -1 else n for n in (data, spatial))
    if not 1 <= data * spatial <= len(devices):
        raise InputError(
            f"config.mesh asks for {options.data} (data) x {options.spatial} (spatial) devices, but there are "
            f"{len(devices)} ({devices[0].platform})."
        )
    for key, size in batch_sizes.items():
        if size % data:
            raise InputError(
                f"{key} is {size}, which does not divide among {data} devices: take a multiple of {data}, or set "
                f"config.mesh.data (and config.mesh.spatial, which splits the height of pictures)."
            )
    return Mesh(np.array(devices[: data * spatial]).reshape(data, spatial), (DATA, SPATIAL))


def replicated(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec())


def replicate(tree: T, mesh: Mesh) -> T:
    """A copy of every array on every device."""
    return jax.device_put(tree, replicated(mesh))


def layout_of(batch: Batch, mesh: Mesh) -> Batch:
    """Where each array of a batch lies: its pictures are divided among the devices."""
    by_row = NamedSharding(mesh, PartitionSpec(DATA))
    return jax.tree.map(lambda _: by_row, batch)._replace(images=NamedSharding(mesh, PartitionSpec(DATA, SPATIAL)))


def split_batch(batch: Batch, mesh: Mesh) -> Batch:
    """The pictures of a batch, divided among the devices."""
    return jax.device_put(batch, layout_of(batch, mesh))
