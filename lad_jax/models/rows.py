"""Maps whose rows are split over the devices that share a picture.

Where there are such devices the mesh of the context has an axis `spatial`, which splits the height of pictures. What
works cell by cell, and sums over maps, is the compiler's business. Convolutions are not: XLA's own partitioning of them
gives wrong gradients, or ends the process, where a map's rows do not divide among the devices, or only just. Here each
device convolves its own rows and those that it needs of its neighbours (halos). Where the rows of a convolution's
input or output do not divide, both maps are whole on each of them.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float

SPATIAL = "spatial"
"""Name of the mesh axis that splits the height of pictures and feature maps."""


def parts() -> int:
    """How many devices share a picture, in the computation that is being traced."""
    return jax.sharding.get_abstract_mesh().shape.get(SPATIAL, 1)


def whole(x: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """An array, whole on each of the devices that share a picture."""
    return x if parts() == 1 else jax.lax.with_sharding_constraint(x, PartitionSpec())


def convolve(
    x: Float[Array, "B H W C"],
    kernel: Float[Array, "h w I O"],
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    **options: Any,
) -> Float[Array, "B _ _ O"]:
    """`jax.lax.conv_general_dilated`, without dilation, of a map whose rows may be split."""
    stride, above = strides[0], padding[0][0]
    below = kernel.shape[0] - stride - above
    rows, rest = divmod(x.shape[1], parts() * stride)
    if parts() == 1 or rest or rows * stride < max(above, below):
        return whole(jax.lax.conv_general_dilated(whole(x), kernel, strides, padding, **options))

    def own(x: Float[Array, "B H W C"], kernel: Float[Array, "h w I O"]) -> Float[Array, "B _ _ O"]:
        x = _with_neighbours(x, above, below)
        return jax.lax.conv_general_dilated(x, kernel.astype(x.dtype), strides, ((0, 0), padding[1]), **options)

    split, same = PartitionSpec(None, SPATIAL), PartitionSpec()
    by_rows = jax.shard_map(own, in_specs=(split, same), out_specs=split, axis_names={SPATIAL}, check_vma=False)
    # The devices' gradients of the kernel are summed in the precision that it enters with.
    return by_rows(x, kernel.astype(jnp.float32))


Conv = partial(nn.Conv, conv_general_dilated=convolve)
"""flax's layer, for such maps."""


def _with_neighbours(x: Float[Array, "B H W C"], above: int, below: int) -> Float[Array, "B _ W C"]:
    """A device's rows with the last of the device above, and the first of the one below; 0 at the border."""
    n = jax.lax.axis_size(SPATIAL)
    pieces = [x]
    if above > 0:
        pieces.insert(0, jax.lax.ppermute(x[:, -above:], SPATIAL, [(i, i + 1) for i in range(n - 1)]))
    if below > 0:
        pieces.append(jax.lax.ppermute(x[:, :below], SPATIAL, [(i + 1, i) for i in range(n - 1)]))
    return jnp.concatenate(pieces, axis=1)
