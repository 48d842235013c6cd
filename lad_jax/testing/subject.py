"""An assigner that is tried, and its answers."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lad_jax.assign import Assigner
from lad_jax.distill import METHODS, SwitchOptions, assign_batch
from lad_jax.testing.drawn import N_CLASSES, draw_predictions, draw_scene, draw_trained_predictions
from lad_jax.types import Assignment, CostTable, Predictions, Scene


class Answer(NamedTuple):
    """The answer of an assigner for a batch, as a training step gets it; arrays of numpy."""

    table: CostTable
    assignment: Assignment
    broken: Any
    """Pictures for which a cost is not finite."""
    gradient: Any
    """Gradient of the sum of all weights and targets by the predictions."""


class Subject:
    """An assigner that is tried on the pictures of a scene.

    Its answers are those that a training step gets by `assign_batch`, compiled once for each number of object rows.

    Args:
      assigner: the assigner.
      scene: of a batch; two drawn pictures by default.
      n_classes: number of classes of the predictions that are drawn.
    """

    def __init__(self, assigner: Assigner, scene: Scene | None = None, n_classes: int = N_CLASSES) -> None:
        self.assigner, self.n_classes = assigner, n_classes
        self.scene = draw_scene() if scene is None else scene
        self._compiled = jax.jit(functools.partial(_answer, assigner))

    @functools.cache  # noqa: B019  the predictions are few, and last as long as the laws are tried
    def predictions(self, seed: int) -> Predictions:
        """What the network of a seed predicts for the pictures."""
        return draw_predictions(self.scene.priors, self.n_classes, seed)

    def answer(self, predictions: Predictions, scene: Scene | None = None) -> Answer:
        """The compiled answer, for other pictures of the same canvas where `scene` is given."""
        return jax.device_get(self._compiled(predictions, self.scene if scene is None else scene))

    @functools.cache  # noqa: B019  as above
    def networks(self) -> dict[str, Answer]:
        """Answers in the middle of a training for all kinds of predictions, by words for a message.

        The kinds are usual ones of two networks, those of a trained one, and those that in picture 0 are all NaN or
        infinite.
        """
        usual, trained = self.predictions(0), draw_trained_predictions(self.scene, self.n_classes, seed=0)
        predictions = {
            "": usual,
            ", by another network": self.predictions(1),
            ", where some predictions are almost right": trained,
        }
        for value in (np.nan, np.inf, -np.inf):
            where = f", where predictions of picture 0 are {value}"
            predictions[where] = jax.tree.map(lambda x, value=value: x.at[0].set(value), usual)
        return {where: self.answer(each, self._scene_at(0.5)) for where, each in predictions.items()}

    @functools.cache  # noqa: B019  as above
    def answers(self) -> dict[str, Answer]:
        """Answers of `networks`, and those for usual predictions at the start and at the end of a training."""
        usual = self.predictions(0)
        ends = {f", where scene.progress is {end}": self.answer(usual, self._scene_at(end)) for end in (0.0, 1.0)}
        return self.networks() | ends

    @functools.cached_property
    def picture(self) -> tuple[Scene, Predictions]:
        """The first picture alone, and its predictions of seed 0."""
        return jax.tree.map(lambda x: x[0], (self.scene, self.predictions(0)))

    @functools.cached_property
    def table(self) -> Any:
        """What `cost` returns for `picture`, not compiled: a CostTable, if the law of shapes is obeyed."""
        return self.assigner.cost(*self.picture)

    @functools.cached_property
    def assignment(self) -> Any:
        """What `partition` returns for `table`: an Assignment, likewise."""
        return self.assigner.partition(self.table, self.picture[0])

    def _scene_at(self, progress: float) -> Scene:
        return self.scene._replace(progress=jnp.full_like(self.scene.progress, progress))


def _answer(assigner: Assigner, predictions: Predictions, scene: Scene) -> Answer:
    def total(predictions: Predictions) -> Any:
        assigned = assign_batch(
            {"student": predictions}, scene, method=METHODS["plain"], assigner=assigner, switch=SwitchOptions()
        )
        return jnp.sum(assigned.assignment.weight) + jnp.sum(assigned.assignment.target), assigned

    gradient, assigned = jax.grad(total, has_aux=True)(predictions)
    return Answer(jax.vmap(assigner.cost)(scene, predictions), assigned.assignment, assigned.broken, gradient)


OTHER_PROGRAM = 1e-5
"""Relative tolerance of floats from another program, or of another order: sums differ in the last digits."""


def difference(one: Any, other: Any, rtol: float = 0.0) -> str:
    """The first field in which two answers differ, with both values; empty where there is none.

    Whole numbers and flags must be equal, floats within a relative tolerance.
    """
    named, others = jax.tree_util.tree_flatten_with_path(one)[0], jax.tree.leaves(other)
    for (path, value), expected in zip(named, others, strict=True):
        a, b = np.asarray(value), np.asarray(expected)
        exact = not np.issubdtype(a.dtype, np.floating)
        same = a == b if exact else np.isclose(a, b, rtol=rtol, atol=rtol / 10, equal_nan=True)
        if not np.all(same):
            index = tuple(np.argwhere(~same)[0].tolist())
            return f"{jax.tree_util.keystr(path, simple=True, separator='.')}{list(index)} is {a[index]} and {b[index]}"
    return ""


def fields(table: CostTable, assignment: Assignment) -> dict[str, Any]:
    """What two answers are compared by; 0 in place of the table's values where an entry has no object: they mean
    nothing."""
    values: Any = {"cost": table.cost, "besides": table.besides}
    values = jax.tree.map(lambda x: np.where(table.object >= 0, x, 0), values)
    return {"table": table._replace(**values), "assignment": assignment}
