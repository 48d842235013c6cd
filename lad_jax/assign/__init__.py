"""Assigners: from predictions and objects to costs, and from costs to positives.

To add one: write its two functions in a file of its own (see `base.Assigner`), a row in `ASSIGNERS`,
and a field for its options in `AssignerOptions`. One from outside of the package needs none of this (`outside`).
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lad_jax.assign.atss import ATSSOptions, make_atss
from lad_jax.assign.base import Assigner
from lad_jax.assign.dynamic_soft_label import DynamicSoftLabelOptions, make_dynamic_soft_label
from lad_jax.assign.fcos import FCOSOptions, make_fcos
from lad_jax.assign.hungarian import HungarianOptions, make_hungarian
from lad_jax.assign.mal import MALOptions, make_mal
from lad_jax.assign.max_iou import MaxIoUOptions, make_max_iou
from lad_jax.assign.ota import OTAOptions, make_ota
from lad_jax.assign.outside import is_outside, outside_assigner
from lad_jax.assign.paa import PAAOptions, make_paa
from lad_jax.assign.simota import SimOTAOptions, make_simota
from lad_jax.assign.tal import TALOptions, make_tal
from lad_jax.config import FreeGroup

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

    name: str = "paa"
    """Name of the assigner, whose options are in the group of that name; or `module:function` of one from outside,
    whose options are in `options` (docs/assigners.md). Only training imports the module."""
    options: FreeGroup = FreeGroup()
    """Options of an assigner from outside, by the names of its dataclass's fields."""
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

    def __post_init__(self) -> None:
        if is_outside(self.name):
            return
        if self.name == "free_anchor":
            raise ValueError(
                "name is 'free_anchor', which is a loss and assigns no priors: set config.method to 'free_anchor'. "
                "There is no partition that LAD could hand over."
            )
        if self.name not in ASSIGNERS:
            guess = difflib.get_close_matches(self.name, ASSIGNERS, n=1)
            hint = f" Did you mean {guess[0]!r}?" if guess else ""
            raise ValueError(
                f"name is {self.name!r}; allowed: {', '.join(map(repr, ASSIGNERS))}, or 'module:function' for an "
                f"assigner from outside (docs/assigners.md).{hint}"
            )
        if self.options:
            raise ValueError(
                f"options has {', '.join(self.options)}, but is for assigners from outside: the options of "
                f"{self.name!r} are in config.assigner.{self.name}"
            )


def make_assigner(options: AssignerOptions) -> Assigner:
    """The assigner that the options name.

    Raises:
      InputError: one from outside is not there, or its options do not fit; see `outside_assigner`.
    """
    if is_outside(options.name):
        return outside_assigner(options.name, options.options)
    return ASSIGNERS[options.name](getattr(options, options.name))


__all__ = ["ASSIGNERS", "Assigner", "AssignerOptions", "PAAOptions", "make_assigner"]
