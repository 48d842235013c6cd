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
    """Masks of the finite numbers of a step, in the order of their computation."""

    losses: ByImage
    """Mask of the images by name of a loss, such as `student/loss_box`."""
    gradients: dict[str, Bool[Array, ""]]
    """Whether a gradient is finite, by module of a network, such as `student/neck`."""


def parts_finite(gradients: Mapping[Network, Mapping[str, Any]]) -> dict[str, Bool[Array, ""]]:
    """Whether the norms of the gradients of each network's backbone, neck and head are finite."""
    return {
        f"{name}/{module}": jnp.isfinite(optax.global_norm(x))
        for name, modules in gradients.items()
        for module, x in modules.items()
    }


def explain(finite: Finite, image_ids: Sequence[int]) -> str:
    """The first number of a step that is not finite, and its images, in words.

    A loss names its images. What comes later is computed for the whole batch, and names all.
    """
    lost = [name for name, images in finite.losses.items() if not np.all(images)]
    if lost:
        whole = np.all([finite.losses[name] for name in lost], axis=0)
        image_ids = [i for i, ok in zip(image_ids, whole, strict=True) if not ok]
        return f"{', '.join(lost)} not finite; image ids {image_ids}"
    gradients = [f"gradient of {module}" for module, ok in finite.gradients.items() if not ok]
    return f"{', '.join(gradients or ['a sum'])} not finite; image ids {list(image_ids)}"
