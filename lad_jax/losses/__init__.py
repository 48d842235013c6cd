"""Losses: sums over the priors of an image, and what a batch divides them by.

To add one: write its sums and divisors in a file of its own (see `sums.Loss`), and a row in `LOSSES`.
"""

from collections.abc import Callable, Iterable

from lad_jax.losses.bag import FreeAnchorOptions, make_bag
from lad_jax.losses.detection import make_detection
from lad_jax.losses.focal import focal_negative, focal_positive, quality_focal
from lad_jax.losses.options import BoxWeighting, LossOptions, LossSetting
from lad_jax.losses.soft import SoftOptions, make_soft
from lad_jax.losses.sums import Loss, PerImage, Scalars, Sums, batch_divisors, batch_sums, batch_terms

LOSSES: dict[str, Callable[[LossSetting], Loss]] = {
    "detection": make_detection,
    "soft": lambda setting: make_soft(setting.soft, bounded=setting.bounded),
    "bag": lambda setting: make_bag(setting.free_anchor),
}
"""The kinds of loss that a method's row names: `detection` on the assignment, `soft` on the teacher's predictions,
`bag` on the objects, whatever the assignment."""


def make_losses(kinds: Iterable[str], setting: LossSetting) -> dict[str, Loss]:
    """Losses of one network, by kind."""
    return {kind: LOSSES[kind](setting) for kind in kinds}


__all__ = [
    "LOSSES",
    "BoxWeighting",
    "FreeAnchorOptions",
    "Loss",
    "LossOptions",
    "LossSetting",
    "PerImage",
    "Scalars",
    "SoftOptions",
    "Sums",
    "batch_divisors",
    "batch_sums",
    "batch_terms",
    "focal_negative",
    "focal_positive",
    "make_losses",
    "quality_focal",
]
