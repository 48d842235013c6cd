"""Random inputs of the benchmarks."""

import numpy as np

from lad_jax.rounding import round_up
from lad_jax.types import Batch, GroundTruth, Pictures


def random_batch(canvas: tuple[int, int], *, n_images: int, n_objects: int, n_classes: int) -> Batch:
    """Noise that fills the canvas, with boxes of all sizes on it."""
    rng, hw = np.random.default_rng(0), np.array(canvas)
    padded = max(round_up(n_objects, 8), 8)
    size = np.exp(rng.uniform(np.log(16), np.log(hw.min() * 0.8), (n_images, padded, 2)))
    corner = rng.uniform(0, 1, size.shape) * (hw[::-1] - size)
    mask = np.broadcast_to(np.arange(padded) < n_objects, (n_images, padded))
    return Batch(
        pictures=Pictures(
            images=rng.integers(0, 256, (n_images, *canvas, 3), dtype=np.uint8),
            image_hw=np.broadcast_to(hw, (n_images, 2)).astype(np.int32),
            scale=np.ones((n_images, 2), np.float32),
        ),
        truth=GroundTruth(
            boxes=np.concatenate([corner, corner + size], axis=2).astype(np.float32),
            labels=rng.integers(0, n_classes, (n_images, padded)).astype(np.int32),
            mask=mask,
            crowd=np.zeros_like(mask),
        ),
        position=np.arange(n_images, dtype=np.int32),
        valid=np.ones(n_images, bool),
    )
