"""Assigners: from predictions and objects to costs, and from costs to positives.

To add one: write its two functions in a file of its own (see `base.Assigner`), a row in `ASSIGNERS`,
and a field for its options in `AssignerOptions`.
"""

from dataclasses import dataclass
from typing import Literal

from lad_jax.assign.base import Assigner
from lad_jax.assign.paa import PAAOptions, make_paa

ASSIGNERS = {"paa": make_paa}


@dataclass(frozen=True)
class AssignerOptions:
    """The choice of an assigner, and the options of each."""

    name: Literal["paa"] = "paa"
    """Name of the assigner; its options are in the group of that name."""
    paa: PAAOptions = PAAOptions()


def make_assigner(options: AssignerOptions) -> Assigner:
    """The assigner that the options name."""
    return ASSIGNERS[options.name](getattr(options, options.name))


__all__ = ["ASSIGNERS", "Assigner", "AssignerOptions", "PAAOptions", "make_assigner"]
