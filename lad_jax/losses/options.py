"""Options of the losses."""

from dataclasses import dataclass
from typing import Literal

from lad_jax.fields import check_range
from lad_jax.losses.bag import FreeAnchorOptions
from lad_jax.losses.soft import SoftOptions

ClassLoss = Literal["focal", "quality_focal"]
"""Class loss of all priors: `focal`, of classes that are there or not; `quality_focal`, of the assigner's targets."""
QualityTarget = Literal["iou", "centerness"]
"""Target of the quality branch: `iou`, of the predicted box with the object; `centerness`, of the prior's centre in
the object."""
BoxWeighting = Literal["quality", "uniform", "target"]
"""Weight of a positive's box loss: `quality`, the quality branch's target (PAA: the IoU); `uniform`, 1 (the LAD
family); `target`, the assigner's class target."""


@dataclass(frozen=True)
class LossOptions:
    """Options of the detection loss, and what losses are divided by."""

    class_loss: Literal["assigner", "focal", "quality_focal"] = "assigner"
    """Class loss of all priors: `focal`, divided by the number of positives; `quality_focal`, whose targets are the
    assigner's, and which is divided by their sum; `assigner`: the latter where the assigner gives targets between 0 and
    1, else the former."""
    class_weight: float = 1.0
    """Weight of the class loss."""
    box_weighting: Literal["method", "quality", "uniform"] = "method"
    """Weights of the positives' box losses: the target of the quality branch (by default their IoU with the object), or
    all alike. `method`: the assigner's class targets where it gives them between 0 and 1; else, as released, by the
    quality branch's target under method `plain` (all alike where that is the IoU and the network has no IoU branch),
    and alike under LAD and its kin."""
    box_weight: float = 1.3
    """Weight of the box loss, 1 - GIoU."""
    quality_target: Literal["assigner", "iou", "centerness"] = "assigner"
    """Target of the quality branch: the IoU of the predicted box with the object, or how central the prior's centre
    lies in it. `assigner`: as published for the assigner, centerness for ATSS and FCOS, else the IoU."""
    quality_weight: float = 0.5
    """Weight of the quality branch's loss."""
    normaliser_pictures: int = 0
    """Number of consecutive pictures of the batch by whose sums losses are divided, to be averaged then, as where each
    device normalises by itself; 0: the whole batch."""

    def __post_init__(self) -> None:
        check_range(self, "class_weight", "box_weight", "quality_weight", "normaliser_pictures", least=0)


@dataclass(frozen=True)
class LossSetting:
    """Settings of the losses of one network; those without a comment are of `LossOptions`, with every choice made."""

    class_loss: ClassLoss = "focal"
    class_weight: float = 1.0
    box_weighting: BoxWeighting = "uniform"
    box_weight: float = 1.3
    quality_target: QualityTarget = "iou"
    quality_weight: float = 0.5
    soft: SoftOptions = SoftOptions()
    bounded: bool = False
    """Whether class probabilities are kept within `soft.BOUNDS`, for a network whose head has no logits."""
    free_anchor: FreeAnchorOptions = FreeAnchorOptions()
