"""Box geometry. Boxes are `x1 y1 x2 y2` in pixels, continuous; the last axis is the four numbers.

Everything here is elementwise over leading axes, except `pairwise_iou`. Source: spec 2.3 and 2.4.
"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

EPSILON = 1e-6
"""Lower bound of a union and of an enclosing area."""
DELTA_STD = (0.1, 0.1, 0.2, 0.2)
"""Scale of a network's box outputs dx, dy, dw, dh."""
MAX_LOG_RATIO = math.log(1000 / 16)
"""Largest |ln(box side / prior side)| that `decode` allows."""


def area(boxes: Float[Array, "... 4"]) -> Float[Array, "..."]:
    """Width times height [pixel²]."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def _overlap(a: Float[Array, "... 4"], b: Float[Array, "... 4"]) -> Float[Array, "..."]:
    side = jnp.minimum(a[..., 2:], b[..., 2:]) - jnp.maximum(a[..., :2], b[..., :2])
    side = jnp.maximum(side, 0.0)
    return side[..., 0] * side[..., 1]


def iou(a: Float[Array, "... 4"], b: Float[Array, "... 4"]) -> Float[Array, "..."]:
    """Intersection over union of `a` with `b`, row by row (leading axes broadcast)."""
    overlap = _overlap(a, b)
    return overlap / jnp.maximum(area(a) + area(b) - overlap, EPSILON)


def pairwise_iou(a: Float[Array, "N 4"], b: Float[Array, "M 4"]) -> Float[Array, "N M"]:
    """Intersection over union of every row of `a` with every row of `b`."""
    return iou(a[:, None], b[None, :])


def giou(a: Float[Array, "... 4"], b: Float[Array, "... 4"]) -> Float[Array, "..."]:
    """Generalised IoU, row by row: IoU - (E - U) / E with E the area of the smallest enclosing box. In [-1, 1]."""
    overlap = _overlap(a, b)
    union = jnp.maximum(area(a) + area(b) - overlap, EPSILON)
    side = jnp.maximum(jnp.maximum(a[..., 2:], b[..., 2:]) - jnp.minimum(a[..., :2], b[..., :2]), 0.0)
    enclosing = jnp.maximum(side[..., 0] * side[..., 1], EPSILON)
    return overlap / union - (enclosing - union) / enclosing


def encode(priors: Float[Array, "... 4"], boxes: Float[Array, "... 4"]) -> Float[Array, "... 4"]:
    """Deltas (dx, dy, dw, dh) that `decode` takes from `priors` to `boxes`."""
    size, target = priors[..., 2:] - priors[..., :2], boxes[..., 2:] - boxes[..., :2]
    shift = ((boxes[..., :2] + boxes[..., 2:]) - (priors[..., :2] + priors[..., 2:])) / 2 / size
    deltas = jnp.concatenate([shift, jnp.log(target / size)], axis=-1)
    return deltas / jnp.broadcast_to(jnp.array(DELTA_STD), deltas.shape)


def decode(priors: Float[Array, "... 4"], deltas: Float[Array, "... 4"]) -> Float[Array, "... 4"]:
    """Boxes from deltas: centre + size·(dx, dy), size·exp(dw, dh), the exponent bounded on both sides.

    Not clipped to the image.
    """
    deltas = deltas * jnp.broadcast_to(jnp.array(DELTA_STD), deltas.shape)
    size = priors[..., 2:] - priors[..., :2]
    centre = (priors[..., :2] + priors[..., 2:]) / 2 + size * deltas[..., :2]
    half = size * jnp.exp(jnp.clip(deltas[..., 2:], -MAX_LOG_RATIO, MAX_LOG_RATIO)) / 2
    return jnp.concatenate([centre - half, centre + half], axis=-1)


def centerness(priors: Float[Array, "... 4"], boxes: Float[Array, "... 4"]) -> Float[Array, "..."]:
    """How central the centre of a prior lies in a box, row by row: 1 in its middle, 0 on its sides and outside.

    sqrt(min(left, right) / max(left, right) · min(top, bottom) / max(top, bottom)), the distances to the sides
    """
    centre = (priors[..., :2] + priors[..., 2:]) / 2
    before, after = centre - boxes[..., :2], boxes[..., 2:] - centre
    ratio = jnp.maximum(jnp.minimum(before, after), 0.0) / jnp.maximum(jnp.maximum(before, after), EPSILON)
    return jnp.sqrt(ratio[..., 0] * ratio[..., 1])


def clip(boxes: Float[Array, "... 4"], hw: Float[Array, "2"]) -> Float[Array, "... 4"]:
    """Boxes limited to x in [0, width], y in [0, height]."""
    limit = jnp.stack([hw[1], hw[0], hw[1], hw[0]])
    return jnp.clip(boxes, 0.0, jnp.broadcast_to(limit, boxes.shape))
