"""Options of the losses, and what a loss is made from."""

from dataclasses import dataclass
from typing import Literal

from lad_jax.fields import check_range
from lad_jax.losses.detection import BoxWeighting
from lad_jax.losses.soft import SoftOptions


@dataclass(frozen=True)
class LossOptions:
    """Where the references differ about the losses."""

    box_weighting: Literal["method", "iou", "uniform"] = "method"
    """How much each positive's box loss counts: by its IoU with the object, or all alike. `method`: as released, by
    IoU for PAA with an IoU branch, else alike."""
    normaliser_pictures: int = 0
    """Losses are divided by sums over this many consecutive pictures of the batch and then averaged, as where each
    device normalises for itself; 0: by sums over the whole batch."""

    def __post_init__(self) -> None:
        check_range(self, "normaliser_pictures", least=0)


@dataclass(frozen=True)
class LossSetting:
    """What the losses of one network are made from."""

    box_weighting: BoxWeighting = "uniform"
    soft: SoftOptions = SoftOptions()
    bounded: bool = False
    """Whether the network's head has no logits: its class probabilities are then kept within `soft.BOUNDS`."""
