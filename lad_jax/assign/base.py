"""The interface of assigners."""

from typing import NamedTuple, Protocol

from lad_jax.types import Assignment, CostTable, Predictions, Scene


class CostFunction(Protocol):
    """Costs of one image's priors, were they responsible for its objects, by one network's predictions."""

    def __call__(self, scene: Scene, predictions: Predictions) -> CostTable: ...


class PartitionFunction(Protocol):
    """A partition of the priors into positives and negatives by costs, which may be those of another network."""

    def __call__(self, table: CostTable, scene: Scene) -> Assignment: ...


class Assigner(NamedTuple):
    """Two pure functions of one image. Label assignment distillation is to swap the table between them."""

    cost: CostFunction
    partition: PartitionFunction
