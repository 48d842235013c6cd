"""The mesh of devices: each has its shard of the batch, and a copy of everything else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Bool, Int

from lad_jax.errors import InputError
from lad_jax.types import Batch

T = TypeVar("T")
DATA = "data"
"""Name of the mesh's one axis, over which a batch is sharded."""


@dataclass(frozen=True)
class MeshOptions:
    """Options of the devices that a run takes."""

    data: int = -1
    """Number of devices, and so of shards of the batch; -1: all devices."""

    def __post_init__(self) -> None:
        if self.data < 1 and self.data != -1:
            raise ValueError(f"data is {self.data}; it must be at least 1, or -1: all devices")


def make_mesh(options: MeshOptions, batch_sizes: Mapping[str, int]) -> Mesh:
    """A mesh over the first `data` devices.

    Args:
      options: number of devices.
      batch_sizes: numbers of pictures that must divide among the devices, by config key for messages.

    Raises:
      InputError: more devices than there are, pictures that do not divide among them, or a process without a device.
    """
    devices = jax.devices()
    n = len(devices) if options.data == -1 else options.data
    if n > len(devices):
        raise InputError(f"config.mesh.data is {n}, but there are {len(devices)} devices ({devices[0].platform}).")
    for key, size in batch_sizes.items():
        if size % n:
            raise InputError(
                f"{key} is {size}, which does not divide among {n} devices: take a multiple of {n}, or set "
                f"config.mesh.data to a divisor of {size}."
            )
    mesh = Mesh(np.array(devices[:n]), (DATA,))
    if len({device.process_index for device in mesh.devices}) < jax.process_count():
        raise InputError(
            f"config.mesh.data takes {n} of {len(devices)} devices, which leaves some of the "
            f"{jax.process_count()} processes without one: let it take all, or start fewer processes."
        )
    return mesh


def replicated(mesh: Mesh) -> NamedSharding:
    """The layout of an array that is whole on every device."""
    return NamedSharding(mesh, PartitionSpec())


def sharded(mesh: Mesh) -> NamedSharding:
    """The layout of an array whose first axis is divided among the devices."""
    return NamedSharding(mesh, PartitionSpec(DATA))


def replicate(tree: T, mesh: Mesh) -> T:
    """A copy of every array on every device; every process has to have the same."""
    layout = replicated(mesh)

    def put(x: Any) -> jax.Array:
        host = np.asarray(x)
        return jax.make_array_from_callback(host.shape, layout, lambda index: host[index])

    return jax.tree.map(put, tree)


def share(mesh: Mesh) -> Callable[[T], T]:
    """A function that gives arrays on the devices to every process, as `replicate` does those of the host."""
    return jax.jit(lambda tree: tree, out_shardings=replicated(mesh))


def local_rows(mesh: Mesh, batch_size: int) -> Int[np.ndarray, " b"]:
    """The rows of a batch that lie on this process's devices, rising: those that it has to read."""
    return np.arange(batch_size).reshape(mesh.size, -1)[_local(mesh)].ravel()


def split_batch(batch: Batch, mesh: Mesh) -> Batch:
    """The pictures of a batch, divided among the devices.

    Args:
      batch: its `local_rows`, on the host.
      mesh: the devices of all processes.

    Returns:
      The whole batch.
    """
    size = len(batch.position) * mesh.size // int(_local(mesh).sum())

    def put(x: Any) -> jax.Array:
        return jax.make_array_from_process_local_data(sharded(mesh), x, (size, *x.shape[1:]))

    with jax.transfer_guard_host_to_device("allow"):  # to JAX an array of several processes is no transfer asked for
        return jax.tree.map(put, batch)


def _local(mesh: Mesh) -> Bool[np.ndarray, " data"]:
    """Mask of the mesh's devices that are this process's."""
    return np.array([device.process_index == jax.process_index() for device in mesh.devices])


def per_shard(function: Callable[..., Any], mesh: Mesh) -> Callable[..., Any]:
    """`function(*batches)`, computed by each device for its shard alone: no picture may need another.

    Loops then end on each device by themselves. Gradients flow to arguments that are sharded (see `on_shards`).
    """
    shards = PartitionSpec(DATA)
    return jax.shard_map(function, mesh=mesh, in_specs=shards, out_specs=shards, check_vma=False)


def data_parallel(function: Callable[..., Any], mesh: Mesh) -> Callable[..., Any]:
    """`function(variables, batch)`, computed by each device for its shard of the batch alone.

    The variables are the same for all. Gradients to them need `on_shards`.
    """
    shards = PartitionSpec(DATA)
    specs = (PartitionSpec(), shards)
    return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=shards, check_vma=False)


def tile(tree: T, mesh: Mesh) -> T:
    """Copies of arrays along a leading axis `data`, one for each shard: its gradient is that of its shard alone."""
    layout = sharded(mesh)

    def copies(x: Any) -> jax.Array:
        return jax.lax.with_sharding_constraint(jnp.broadcast_to(x, (mesh.size, *x.shape)), layout)

    return jax.tree.map(copies, tree)


def on_shards(function: Callable[..., Any], mesh: Mesh) -> Callable[..., Any]:
    """`function(variables, *batch)`, computed for each shard of a batch with its copy of tiled variables (`tile`).

    The gradient with respect to the tiled variables has a leading axis of `data` again: see `sum_shards`.
    """

    def on_shard(tiled: Any, *batch: Any) -> Any:
        return function(jax.tree.map(lambda x: x[0], tiled), *batch)

    return per_shard(on_shard, mesh)


def sum_shards(tiled: T, mesh: Mesh, dtype: str) -> T:
    """Sum of tiled arrays over their leading axis; what travels between the devices has the given `dtype`.

    On one device nothing travels, and nothing is rounded.
    """

    def total(x: jax.Array) -> jax.Array:
        sent = x[0] if mesh.size == 1 else x[0].astype(dtype)
        return jax.lax.psum(sent, DATA).astype(x.dtype)

    shards, whole = PartitionSpec(DATA), PartitionSpec()
    return jax.shard_map(partial(jax.tree.map, total), mesh=mesh, in_specs=shards, out_specs=whole)(tiled)
