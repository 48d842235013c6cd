"""Losses: sums over the priors of an image, and what a batch divides them by.

To add one: write its sums and divisors in a file of its own (see `sums.Loss`), and a row in `LOSSES`.
"""

from collections.abc import Callable, Iterable

from lad_jax.losses.detection import BoxWeighting, make_detection
from lad_jax.losses.focal import focal_negative, focal_positive
from lad_jax.losses.options import LossOptions, LossSetting
from lad_jax.losses.soft import SoftOptions, make_soft
from lad_jax.losses.sums import Loss, PerImage, Scalars, Sums, batch_divisors, batch_sums, batch_terms

LOSSES: dict[str, Callable[[LossSetting], Loss]] = {
    "detection": lambda setting: make_detection(setting.box_weighting),
    "soft": lambda setting: make_soft(setting.soft, bounded=setting.bounded),
}
"""The kinds of loss that a method's row names: `detection` on the assignment, `soft` on the teacher's predictions."""


def make_losses(kinds: Iterable[str], setting: LossSetting) -> dict[str, Loss]:
    """Losses of one network, by kind."""
    return {kind: LOSSES[kind](setting) for kind in kinds}


__all__ = [
    "LOSSES",
    "BoxWeighting",
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
]
