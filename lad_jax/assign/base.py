"""The interface of assigners."""

from typing import Literal, NamedTuple, Protocol

from jaxtyping import Array, Float

from lad_jax.types import Assignment, CostTable, Predictions, Scene


class CostFunction(Protocol):
    """Costs of one image's priors, were they responsible for its objects, by one network's predictions."""

    def __call__(self, scene: Scene, predictions: Predictions) -> CostTable: ...


class PartitionFunction(Protocol):
    """A partition of the priors into positives and negatives by costs, which may be those of another network."""

    def __call__(self, table: CostTable, scene: Scene) -> Assignment: ...


class Explanation(NamedTuple):
    """An assigner's reasons for a partition: figures that stand beside the costs, by name."""

    objects: dict[str, Float[Array, "G ..."]]
    """Figures of each object; NaN where there is none, meaningless for rows that only pad."""
    entries: dict[str, Float[Array, "*E"]]
    """Figures of each entry of the table; meaningless where the entry has no object."""


class ExplainFunction(Protocol):
    """The reasons for the partition of a table."""

    def __call__(self, table: CostTable, scene: Scene) -> Explanation: ...


class Assigner(NamedTuple):
    """Two pure functions of one image, and what they bring along for the losses.

    Label assignment distillation is to swap the table between the two functions.
    """

    cost: CostFunction
    partition: PartitionFunction
    static: bool = False
    """Whether the answer is by boxes alone: no prediction enters, so that a teacher's table equals the student's."""
    soft_target: bool = False
    """Whether targets of positives may be below 1."""
    quality_target: Literal["iou", "centerness"] = "iou"
    """What the quality branch learns, unless an option says otherwise: the IoU of the predicted box with the object, or
    how central the prior's centre lies in the object."""
    needs_quality: bool = False
    """Whether costs need the predicted IoU, which a network may lack."""
    explain: ExplainFunction | None = None
    """The reasons for a partition; None: sorted costs are reason enough."""
