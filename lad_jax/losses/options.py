"""Options of the losses."""

from dataclasses import dataclass
from typing import Literal

from lad_jax.fields import check_range
from lad_jax.losses.detection import BoxWeighting
from lad_jax.losses.soft import SoftOptions


@dataclass(frozen=True)
class LossOptions:
    """Options of the losses where the references differ."""

    box_weighting: Literal["method", "iou", "uniform"] = "method"
    """Weights of the positives' box losses: their IoU with the object, or all alike. `method`: as released, by IoU for
    PAA with an IoU branch, else alike."""
    normaliser_pictures: int = 0
    """Number of consecutive pictures of the batch by whose sums losses are divided, to be averaged then, as where each
    device normalises by itself; 0: the whole batch."""

    def __post_init__(self) -> None:
        check_range(self, "normaliser_pictures", least=0)


@dataclass(frozen=True)
class LossSetting:
    """Settings of the losses of one network."""

    box_weighting: BoxWeighting = "uniform"
    soft: SoftOptions = SoftOptions()
    bounded: bool = False
    """Whether class probabilities are kept within `soft.BOUNDS`, for a network whose head has no logits."""
