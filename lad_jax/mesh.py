"""Where arrays lie: pictures split over the devices, everything else on each of them."""

from collections.abc import Callable, Iterable, Mapping
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
DATA, SPATIAL = "data", "spatial"
"""Names of the mesh's axes: one splits the batch, the other the height of pictures and maps."""


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
      InputError: more devices than there are, pictures that do not divide among them, or a process without a device.
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
    mesh = Mesh(np.array(devices[: data * spatial]).reshape(data, spatial), (DATA, SPATIAL))
    if len({device.process_index for device in mesh.devices.flat}) < jax.process_count():
        raise InputError(
            f"config.mesh takes {data * spatial} of {len(devices)} devices, which leaves some of the "
            f"{jax.process_count()} processes without one: let it take all, or start fewer processes."
        )
    return mesh


def replicated(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec())


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


def own_rows(mesh: Mesh, batch_size: int) -> Int[np.ndarray, " b"]:
    """The rows of a batch that lie on this process's devices, rising: those that it has to read."""
    return np.arange(batch_size).reshape(len(_owned(mesh)), -1)[_owned(mesh)].ravel()


def layout_of(batch: Batch, mesh: Mesh) -> Batch:
    """Where each array of a batch lies: its pictures are divided among the devices."""
    by_row = NamedSharding(mesh, PartitionSpec(DATA))
    layout = jax.tree.map(lambda _: by_row, batch)
    images = NamedSharding(mesh, PartitionSpec(DATA, SPATIAL))
    return layout._replace(pictures=layout.pictures._replace(images=images))


def split_batch(batch: Batch, mesh: Mesh) -> Batch:
    """The pictures of a batch, divided among the devices.

    Args:
      batch: its `own_rows`, on the host.
      mesh: the devices of all processes.

    Returns:
      The whole batch.
    """
    owned = _owned(mesh)
    size = len(batch.position) * len(owned) // int(owned.sum())
    rows = own_rows(mesh, size)

    def put(x: Any, sharding: NamedSharding) -> jax.Array:
        def piece(index: Any) -> Any:
            of_batch, *rest = index
            wanted = range(size)[of_batch]
            first = int(np.searchsorted(rows, wanted.start))
            return x[(slice(first, first + len(wanted)), *rest)]

        return jax.make_array_from_callback((size, *x.shape[1:]), sharding, piece)

    with jax.transfer_guard_host_to_device("allow"):  # to JAX an array made from pieces is no transfer asked for
        return jax.tree.map(put, batch, layout_of(batch, mesh))


def _owned(mesh: Mesh) -> Bool[np.ndarray, " data"]:
    """The parts of a batch that a device of this process has something of."""
    return np.array([any(d.process_index == jax.process_index() for d in part) for part in mesh.devices])


def check_rows(canvases: Iterable[tuple[int, int]], mesh: Mesh) -> None:
    """Check that the rows of pictures divide among the devices of the axis `spatial`.

    Raises:
      InputError: those of a canvas do not.
    """
    parts = mesh.shape[SPATIAL]
    for height, width in canvases:
        if height % parts:
            raise InputError(
                f"config.mesh.spatial splits the height of pictures into {parts}, but there is a canvas of "
                f"{height}x{width} (height x width): set config.data.pad_multiple to {32 * parts}, or "
                f"config.mesh.spatial to a divisor of {height}."
            )


def apart(function: Callable[..., Any], mesh: Mesh) -> Callable[..., Any]:
    """A function of batches whose pictures need nothing of each other: each device computes its own, alone.

    So loops end on each device by themselves. The devices that share pictures (`spatial`) all compute the same. No
    gradient is meant to flow through it.
    """
    parts = PartitionSpec(DATA)
    return jax.shard_map(function, mesh=mesh, in_specs=parts, out_specs=parts, check_vma=False)


def own_copies(tree: T, mesh: Mesh) -> T:
    """Arrays with a leading axis of `data`: a copy for each part of the batch, so that its gradient is of that part."""
    n, layout = mesh.shape[DATA], NamedSharding(mesh, PartitionSpec(DATA))
    return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(jnp.broadcast_to(x, (n, *x.shape)), layout), tree)


def with_own_copy(function: Callable[..., Any], mesh: Mesh) -> Callable[..., Any]:
    """`function(variables, *batch)` of each part of the batch and its own copy: called with `own_copies(variables)`.

    Only the batch is split by hand. What `spatial` splits is left to the compiler, and to `lad_jax.models.rows`.
    """

    def own(copies: Any, *batch: Any) -> Any:
        # Said outright, or the compiler splits kernels over `spatial`.
        variables = jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x[0], PartitionSpec()), copies)
        return function(variables, *batch)

    parts = PartitionSpec(DATA)
    return jax.shard_map(own, mesh=mesh, in_specs=parts, out_specs=parts, axis_names={DATA}, check_vma=False)


def by_part(function: Callable[..., Any], mesh: Mesh) -> Callable[..., Any]:
    """`function(variables, batch)` of each part of the batch."""
    return lambda variables, batch: with_own_copy(function, mesh)(own_copies(variables, mesh), batch)


def sum_copies(copies: T, mesh: Mesh, dtype: str) -> T:
    """The sum over the leading axis of `own_copies`, which travels between the devices in `dtype`."""

    def total(x: jax.Array) -> jax.Array:
        return jax.lax.psum(x[0].astype(dtype), DATA).astype(x.dtype)

    own, same = PartitionSpec(DATA), PartitionSpec()
    summed = jax.shard_map(partial(jax.tree.map, total), mesh=mesh, in_specs=own, out_specs=same, axis_names={DATA})
    return summed(copies)
