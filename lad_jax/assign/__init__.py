"""Assigners: from predictions and objects to costs, and from costs to positives.

To add one: write its two functions in a file of its own (see `base.Assigner`), a row in `ASSIGNERS`,
and a field for its options in `AssignerOptions`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from lad_jax.assign.atss import ATSSOptions, make_atss
from lad_jax.assign.base import Assigner
from lad_jax.assign.dynamic_soft_label import DynamicSoftLabelOptions, make_dynamic_soft_label
from lad_jax.assign.fcos import FCOSOptions, make_fcos
from lad_jax.assign.hungarian import HungarianOptions, make_hungarian
from lad_jax.assign.mal import MALOptions, make_mal
from lad_jax.assign.max_iou import MaxIoUOptions, make_max_iou
from lad_jax.assign.ota import OTAOptions, make_ota
from lad_jax.assign.paa import PAAOptions, make_paa
from lad_jax.assign.simota import SimOTAOptions, make_simota
from lad_jax.assign.tal import TALOptions, make_tal

ASSIGNERS: dict[str, Callable[[Any], Assigner]] = {
    "paa": make_paa,
    "max_iou": make_max_iou,
    "atss": make_atss,
    "fcos": make_fcos,
    "simota": make_simota,
    "ota": make_ota,
    "tal": make_tal,
    "hungarian": make_hungarian,
    "mal": make_mal,
    "dynamic_soft_label": make_dynamic_soft_label,
}


@dataclass(frozen=True)
class AssignerOptions:
    """The choice of an assigner, and the options of each."""

    name: Literal[
        "paa", "max_iou", "atss", "fcos", "simota", "ota", "tal", "hungarian", "mal", "dynamic_soft_label"
    ] = "paa"
    """Name of the assigner; its options are in the group of that name."""
    paa: PAAOptions = PAAOptions()
    max_iou: MaxIoUOptions = MaxIoUOptions()
    atss: ATSSOptions = ATSSOptions()
    fcos: FCOSOptions = FCOSOptions()
    simota: SimOTAOptions = SimOTAOptions()
    ota: OTAOptions = OTAOptions()
    tal: TALOptions = TALOptions()
    hungarian: HungarianOptions = HungarianOptions()
    mal: MALOptions = MALOptions()
    dynamic_soft_label: DynamicSoftLabelOptions = DynamicSoftLabelOptions()


def make_assigner(options: AssignerOptions) -> Assigner:
    """The assigner that the options name."""
    return ASSIGNERS[options.name](getattr(options, options.name))


__all__ = ["ASSIGNERS", "Assigner", "AssignerOptions", "PAAOptions", "make_assigner"]
