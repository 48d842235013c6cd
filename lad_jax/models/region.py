"""The part of a padded feature map that is the picture's own (spec 1.6).

A canvas is larger than most of its pictures. Where a network sees how far (through convolutions at the border, and
group norm's statistics) a picture's predictions depend on the canvas and on its neighbours in the batch. So whatever
lies outside the picture's own region is zeroed before every convolution wider than 1x1, as the border of a canvas that
fits would be, and group norm takes its statistics inside.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

Region = Int[Array, "B 2"] | None
"""How many rows and columns of a map are each picture's own, counted from the top left; None: all."""


def cells(region: Region, stride: int) -> Region:
    """The region of a map that is `stride` times as coarse: ceil(cells / stride)."""
    return None if region is None else -(-region // stride)


def own(x: Float[Array, "B H W _"], region: Int[Array, "B 2"]) -> Bool[Array, "B H W 1"]:
    """Which cells of a map are its picture's."""
    rows, columns = jnp.arange(x.shape[1])[None, :, None, None], jnp.arange(x.shape[2])[None, None, :, None]
    return (rows < region[:, 0, None, None, None]) & (columns < region[:, 1, None, None, None])


def inside(x: Float[Array, "B H W C"], region: Region, fill: float = 0.0) -> Float[Array, "B H W C"]:
    """The map with `fill` outside its picture's region."""
    return x if region is None else jnp.where(own(x, region), x, fill)
