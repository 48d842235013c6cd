"""Every method as a row of one table: trained networks, networks whose costs count, losses."""

from dataclasses import dataclass
from typing import Literal

from lad_jax.losses import BoxWeighting
from lad_jax.types import Network


@dataclass(frozen=True)
class Method:
    """A way of training: the networks that are trained, those whose cost tables count, and the losses."""

    trained: tuple[Network, ...]
    costs_from: tuple[Network, ...]
    """Networks whose cost tables count. Of several the switch chooses one, cell by cell."""
    losses: tuple[Literal["detection", "soft", "bag"], ...]
    """Kinds of loss, rows of `LOSSES`."""
    box_weighting: BoxWeighting
    """Weights of the boxes in the detection loss, unless the assigner or an option says otherwise."""

    @property
    def frozen(self) -> tuple[Network, ...]:
        """Networks that are not trained: their costs or predictions train the others."""
        teachers = (*self.costs_from, *(["teacher"] if "soft" in self.losses else []))
        return tuple(dict.fromkeys(name for name in teachers if name not in self.trained))

    @property
    def networks(self) -> tuple[Network, ...]:
        return (*self.trained, *self.frozen)


METHODS = {
    "plain": Method(("student",), ("student",), ("detection",), "quality"),
    "soft_label": Method(("student",), ("student",), ("soft",), "quality"),
    "lad": Method(("student",), ("teacher",), ("detection",), "uniform"),
    "solad": Method(("student",), ("teacher",), ("detection", "soft"), "uniform"),
    "dynamic_lad": Method(("student",), ("student", "teacher"), ("detection",), "uniform"),
    "colad": Method(("student", "teacher"), ("student", "teacher"), ("detection",), "uniform"),
    "free_anchor": Method(("student",), ("student",), ("bag",), "quality"),
}
