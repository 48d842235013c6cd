"""Where arrays lie: pictures split over the devices, everything else on each of them."""

from collections.abc import Mapping
from typing import TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lad_jax.errors import InputError
from lad_jax.types import Batch

T = TypeVar("T")
DATA = "data"
"""Name of the mesh axis that the batch is split over."""


def make_mesh(n_devices: int, batch_sizes: Mapping[str, int]) -> Mesh:
    """A mesh of one data axis over the first `n_devices` devices (0: all of them).

    Args:
      n_devices: value of `config.train.devices`.
      batch_sizes: by config key, the sizes that must divide among the devices.

    Raises:
      InputError: more devices than there are, or a batch that does not divide among them.
    """
    devices = jax.devices()
    if n_devices > len(devices):
        raise InputError(f"config.train.devices is {n_devices}, but there are {len(devices)} ({devices[0].platform}).")
    devices = devices[: n_devices or len(devices)]
    for key, size in batch_sizes.items():
        if size % len(devices):
            raise InputError(
                f"config.{key} {size} does not divide among {len(devices)} devices: take a multiple of "
                f"{len(devices)}, or set config.train.devices."
            )
    return Mesh(np.array(devices), (DATA,))


def replicated(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec())


def split(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec(DATA))


def replicate(tree: T, mesh: Mesh) -> T:
    """A copy of every array on every device."""
    return jax.device_put(tree, replicated(mesh))


def split_batch(batch: Batch, mesh: Mesh) -> Batch:
    """The pictures of a batch, divided among the devices."""
    return jax.device_put(batch, split(mesh))
