"""The nouns of the project: what passes between its rooms.

Each noun is a `NamedTuple` of arrays written for *one image*; the batch axis comes from `jax.vmap` and is
always the first. Dimension letters, used in every signature:

    B images   A priors over all levels   L levels   G objects (padded)   C classes   D detections   H W pixels
    *E entries of a cost table: [A] or [G, A]

Boxes are `x1 y1 x2 y2` in pixels of the resized and padded canvas, float32, continuous (no "+1").
Masks are bool and mean *keep*.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8


class GroundTruth(NamedTuple):
    """The annotated boxes of one image, in annotation order (the order decides ties, spec 3)."""

    boxes: Float[Array, "G 4"]
    labels: Int[Array, " G"]
    """Class index 0…C-1."""
    mask: Bool[Array, " G"]
    """False for the rows that only pad to G."""
    crowd: Bool[Array, " G"]
    """True for a crowd region: no object to detect, so never responsible for a prior."""

    @property
    def objects(self) -> Bool[Array, "... G"]:
        """The rows that priors can be made responsible for."""
        return self.mask & ~self.crowd


@jax.tree_util.register_static
@dataclass(frozen=True)
class Levels:
    """The grids of a feature pyramid on one canvas: no arrays, so known while a program is traced."""

    strides: tuple[int, ...]
    """Side of a cell, level by level [pixels]."""
    shapes: tuple[tuple[int, int], ...]
    """Rows and columns of cells, level by level."""

    def __len__(self) -> int:
        return len(self.strides)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of cells, which is that of priors, level by level."""
        return tuple(rows * columns for rows, columns in self.shapes)

    @property
    def of_prior(self) -> Int[np.ndarray, " A"]:
        """The level of each prior."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.sizes)

    @property
    def slices(self) -> tuple[slice, ...]:
        """The priors of each level."""
        ends = np.cumsum(self.sizes).tolist()
        return tuple(slice(end - size, end) for end, size in zip(ends, self.sizes, strict=True))

    @property
    def corners(self) -> Int[np.ndarray, "A 2"]:
        """x and y of the top left corner of each prior's cell [pixels]."""
        grids = zip(self.shapes, self.strides, strict=True)
        return np.concatenate([np.mgrid[:rows, :columns][::-1].reshape(2, -1).T * s for (rows, columns), s in grids])


class Priors(NamedTuple):
    """Anchor boxes, level by level, row-major within a level."""

    boxes: Float[Array, "A 4"]
    valid: Bool[Array, " A"]
    """False beyond the image's extent (its size rounded up to the pad multiple, spec 2.2)."""
    levels: Levels


class Scene(NamedTuple):
    """Facts about an image for assigners and losses, besides predictions."""

    priors: Priors
    truth: GroundTruth
    image_hw: Int[Array, "2"]
    """Height and width of the image's content [pixels]; 0 for a picture that could not be read."""
    progress: Float[Array, ""]
    """Share of the training that is over, 0…1."""


class Predictions(NamedTuple):
    """Outputs of a network for every prior.

    Classes travel as the pair log p, log(1-p): a plain head fills it with log-sigmoids, a head whose score is a
    mean of products has no logit. Losses and costs are written once for both.
    """

    class_log_p: Float[Array, "A C"]
    class_log_not_p: Float[Array, "A C"]
    box_deltas: Float[Array, "A 4"]
    boxes: Float[Array, "A 4"]
    """Decoded from the deltas, not clipped to the image."""
    quality_logit: Float[Array, " A"] | None
    """Logit of the predicted IoU with the object; None where the head has no branch for it."""


class CostTable(NamedTuple):
    """Costs of making a prior responsible for an object.

    Entries *E are [A], one candidate object a prior, or [G, A], every pair of an object and a prior. Whatever is by
    boxes alone (`object`, `compared`) is the same for every network.
    """

    cost: Float[Array, "*E"]
    """Cost, at least 0 and finite, without penalties; `masked.WORST` where a network gave no finite one; meaningless
    where `object` is -1."""
    object: Int[Array, "*E"]
    """Index of the object that the entry's prior may be chosen for, -1 for none. In row g of [G, A] it is g or -1."""
    compared: Bool[Array, "*E"]
    """Whether the switch between networks compares the entry; False where `object` is -1."""
    besides: dict[str, Float[Array, "*E"]]
    """Further values that the assigner's partition needs of the network that the entry's cost is from."""


class Assignment(NamedTuple):
    """The objects that priors are responsible for, and the priors' weights and targets."""

    object: Int[Array, "*B A"]
    """Index of the object that a positive prior is responsible for, -1 for every other prior."""
    weight: Float[Array, "*B A"]
    """Weight in the classification loss: 0 for ignored priors."""
    target: Float[Array, "*B A"]
    """Target of the object's class: 1 for a hard positive, 0 for a prior that is not positive."""
    iterations: Int[Array, "*B"]
    """Iterations that the partition needed for its slowest object."""

    @property
    def positive(self) -> Bool[Array, "*B A"]:
        """The priors that are responsible for an object."""
        return self.object >= 0


class Detections(NamedTuple):
    """The final boxes of one image, by falling score."""

    boxes: Float[Array, "D 4"]
    scores: Float[Array, " D"]
    classes: Int[Array, " D"]
    valid: Bool[Array, " D"]


class Pictures(NamedTuple):
    """B pictures on one canvas: all that a detector needs."""

    images: UInt8[Array, "B H W 3"]
    """RGB; whatever lies outside `image_hw` is padding."""
    image_hw: Int[Array, "B 2"]
    """Height and width of the content after resizing [pixels]."""
    scale: Float[Array, "B 2"]
    """Ratio resized / original, for x and y. A crop's place is not kept: nothing leads from it back to the picture."""

    @property
    def canvas(self) -> tuple[int, int]:
        """Height and width that all pictures are padded to [pixels]."""
        return self.images.shape[1], self.images.shape[2]


class Batch(NamedTuple):
    """B pictures of a data set on one canvas, and what is annotated in them."""

    pictures: Pictures
    truth: GroundTruth
    position: Int[Array, " B"]
    """Position in the data set, which knows the picture's id: it may not fit an int32."""
    valid: Bool[Array, " B"]
    """False for rows that only fill the last batch."""

    @property
    def canvas(self) -> tuple[int, int]:
        """Height and width of the canvas that all pictures are on [pixels]."""
        return self.pictures.canvas


Network = str
"""The networks of a run, by name: `student`, `teacher`, and in a larger cohort `peer_1`, `peer_2`, …"""

Precision = Literal["float32", "bfloat16"]
"""Type in which a part of a run computes, where there is a choice."""
