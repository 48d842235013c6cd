"""The region of a padded feature map that belongs to the picture (spec 1.6).

A canvas is larger than most of its pictures. Where a network sees how far (through convolutions at the border, and
group norm's statistics) a picture's predictions depend on the canvas and on its neighbours in the batch. So whatever
lies outside the picture's region is zeroed before every convolution wider than 1x1, as the border of a canvas that
fits would be, and group norm takes its statistics inside.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lad_jax.rounding import ceil_div

Region = Int[Array, "B 2"] | None
"""Number of rows and columns of a map that belong to each picture, counted from the top left; None: all."""


def cells(region: Region, stride: int) -> Region:
    """The region of a map that is `stride` times as coarse: ceil(cells / stride)."""
    return None if region is None else ceil_div(region, stride)


def mask(x: Float[Array, "B H W _"], region: Int[Array, "B 2"]) -> Bool[Array, "B H W 1"]:
    """Mask of the cells of a map that belong to its picture."""
    rows, columns = jnp.arange(x.shape[1])[None, :, None, None], jnp.arange(x.shape[2])[None, None, :, None]
    return (rows < region[:, 0, None, None, None]) & (columns < region[:, 1, None, None, None])


def inside(x: Float[Array, "B H W C"], region: Region, fill: float = 0.0) -> Float[Array, "B H W C"]:
    """The map with `fill` outside its picture's region."""
    return x if region is None else jnp.where(mask(x, region), x, fill)
