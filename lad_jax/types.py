"""The nouns of the project: what passes between its rooms.

Each noun is a `NamedTuple` of arrays written for *one image*; the batch axis comes from `jax.vmap` and is
always the first. Dimension letters, used in every signature:

    B images   A priors over all levels   L levels   G objects (padded)   C classes   D detections   H W pixels

Boxes are `x1 y1 x2 y2` in pixels of the resized and padded canvas, float32, continuous (no "+1").
Masks are bool and mean *keep*.
"""

from typing import NamedTuple

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


class Priors(NamedTuple):
    """Anchor boxes, level by level, row-major within a level."""

    boxes: Float[Array, "A 4"]
    level: Int[Array, " A"]
    valid: Bool[Array, " A"]
    """False beyond the image's own extent (its size rounded up to the pad multiple, spec 2.2)."""


class Predictions(NamedTuple):
    """What a network says about every prior.

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
    """What it would cost to make a prior responsible for its candidate object (compact: one candidate a prior)."""

    cost: Float[Array, " A"]
    """Finite; `masked.WORST` where a network gave no finite cost; meaningless where `object` is -1."""
    object: Int[Array, " A"]
    """Index of the candidate object, -1 for none."""


class Assignment(NamedTuple):
    """Who is responsible for what."""

    object: Int[Array, " A"]
    """Index of the object that a positive prior is responsible for, -1 for every other prior."""
    positive: Bool[Array, " A"]
    weight: Float[Array, " A"]
    """Weight in the classification loss: 0 for ignored priors."""
    iterations: Int[Array, ""]
    """Iterations that the partition needed for its slowest object."""


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
    """Height and width of the content after resizing."""
    scale: Float[Array, "B 2"]
    """Resized / original, for x and y. A crop's place is not kept: nothing leads from it back to the picture."""

    @property
    def canvas(self) -> tuple[int, int]:
        """Height and width that all are padded to."""
        return self.images.shape[1], self.images.shape[2]


class Batch(NamedTuple):
    """B pictures of a data set on one canvas, and what is annotated in them."""

    pictures: Pictures
    truth: GroundTruth
    position: Int[Array, " B"]
    """Position in the data set; the data set knows the picture's own id, which may not fit an int32."""
    valid: Bool[Array, " B"]
    """False for rows that only fill the last batch."""

    @property
    def canvas(self) -> tuple[int, int]:
        """Height and width that all pictures are padded to."""
        return self.pictures.canvas


Network = str
"""The networks of a run, by name: `student`, `teacher`, and in a larger cohort `peer_1`, `peer_2`, …"""
