"""What an assigner is."""

from typing import NamedTuple, Protocol

from lad_jax.types import Assignment, CostTable, Predictions, Scene


class CostFunction(Protocol):
    """What it would cost one image's priors to be responsible for its objects, by one network's predictions."""

    def __call__(self, scene: Scene, predictions: Predictions) -> CostTable: ...


class PartitionFunction(Protocol):
    """From costs to positives and negatives. Sees no network: the costs may come from another one."""

    def __call__(self, table: CostTable, scene: Scene) -> Assignment: ...


class Assigner(NamedTuple):
    """Two pure functions of one image. Label assignment distillation is to swap the table between them."""

    cost: CostFunction
    partition: PartitionFunction
