"""Detections of one picture, for use from Python."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from lad_jax.errors import InputError
from lad_jax.evaluation.detector import coco_results, valid_rows
from lad_jax.types import Detections


@dataclass(frozen=True, eq=False)
class Result:
    """Detections of one picture, by falling score, as numpy arrays."""

    boxes: Float[np.ndarray, "n 4"]
    """Boxes `x1 y1 x2 y2`, in pixels of the picture as it was given."""
    scores: Float[np.ndarray, " n"]
    """Scores, 0…1."""
    labels: Int[np.ndarray, " n"]
    """Index of each class in the network's `class_names`."""
    names: Shaped[np.ndarray, " n"]
    """Name of each class."""
    category_ids: Shaped[np.ndarray, " n"]
    """Id of each class in the annotations of the training data; Python's integers where int64 does not hold them."""

    def __len__(self) -> int:
        """Number of detections."""
        return len(self.scores)

    def best(self, threshold: float | None = None, at_most: int | None = None) -> "Result":
        """The detections of at least this score, and no more than so many of them; None: all."""
        kept = slice(at_most) if threshold is None else np.flatnonzero(self.scores >= threshold)[:at_most]
        return Result(self.boxes[kept], self.scores[kept], self.labels[kept], self.names[kept], self.category_ids[kept])

    def to_coco(self) -> list[dict[str, Any]]:
        """The detections in COCO's results format, to which the picture's `image_id` has to be added."""
        return coco_results(self.boxes, self.scores, self.category_ids.tolist())

    def to_supervision(self) -> Any:
        """The detections as `supervision.Detections`, with names as its `data["class_name"]`.

        Raises:
          InputError: that package is not installed.
        """
        try:
            import supervision
        except ImportError:
            raise InputError("there is no package supervision here: pip install supervision.") from None
        names = {"class_name": self.names}
        return supervision.Detections(self.boxes, confidence=self.scores, class_id=self.labels, data=names)


def make_results(
    found: Detections, n: int, class_names: Sequence[str], category_ids: Sequence[int]
) -> Iterator[Result]:
    """Results of the first `n` pictures of a batch, from its detections (numpy)."""
    fits = all(abs(number) < 2**63 for number in category_ids)
    names, ids = np.array(class_names), np.array(category_ids, np.int64 if fits else object)
    for row in range(n):
        boxes, scores, labels = valid_rows(Detections(*(x[row] for x in found)))
        yield Result(boxes, scores, labels, names[labels], ids[labels])
