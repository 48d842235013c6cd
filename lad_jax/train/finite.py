"""Numbers of a step that are not finite: found on the device, named on the host."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool

from lad_jax.types import Network

ByImage = dict[str, Bool[Array, " B"]]


class Finite(NamedTuple):
    """What of a step is finite, in the order in which it is computed."""

    losses: ByImage
    """Each image's, by name: `student/loss_box`."""
    gradients: dict[str, Bool[Array, ""]]
    """By part of a network: `student/neck`."""


def parts_finite(gradients: Mapping[Network, Mapping[str, Any]]) -> dict[str, Bool[Array, ""]]:
    """Whether the norms of backbone, neck and head of each network are."""
    return {
        f"{name}/{part}": jnp.isfinite(optax.global_norm(x))
        for name, parts in gradients.items()
        for part, x in parts.items()
    }


def explain(finite: Finite, image_ids: Sequence[int]) -> str:
    """What was the first that is not finite, and for which images.

    A loss names the images whose own it is. What comes later is of the batch as a whole, and names them all.
    """
    lost = [name for name, images in finite.losses.items() if not np.all(images)]
    if lost:
        whole = np.all([finite.losses[name] for name in lost], axis=0)
        image_ids = [i for i, ok in zip(image_ids, whole, strict=True) if not ok]
        return f"{', '.join(lost)} not finite; image ids {image_ids}"
    gradients = [f"gradient of {part}" for part, ok in finite.gradients.items() if not ok]
    return f"{', '.join(gradients or ['a sum'])} not finite; image ids {list(image_ids)}"
