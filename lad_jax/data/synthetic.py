"""Pictures of shapes, drawn on the fly: a data set that needs no download and in which assignment matters.

Objects are small, crowded and partly covered. A picture is a pure function of (seed, split, position).
"""

from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from lad_jax.data.drawing import CLASSES, Shape, draw_background, draw_shape, fill
from lad_jax.data.options import SyntheticOptions
from lad_jax.data.records import Record

CATEGORY_IDS = (3, 7, 11, 12, 20)
"""Category ids, with gaps as real data sets have them."""
SIDES = (12.0, 48.0)
"""Range of an object's longer side [pixels]. Within it squares have IoU 0.1 or more with anchors of two of the
sides 16, 32, 64: an object has candidates on at least two pyramid levels."""
MAX_OBJECTS = 9
MIN_VISIBLE = 0.4
"""Least share of an object that later ones leave uncovered; one of which less is seen is not drawn."""
P_EMPTY, P_CROWD, P_TOUCHING = 0.06, 0.12, 0.4
"""Probabilities: a picture without objects, a crowd region in a picture, an object placed onto another."""
SPLITS = ("train", "val")


class Scene(NamedTuple):
    """Contents of a picture, from back to front."""

    members: tuple[Shape, ...]
    """Shapes of the crowd region, if any."""
    objects: tuple[Shape, ...]


class SyntheticShapes:
    """A data set of drawn shapes.

    Args:
      options: number, size and seed of the pictures.
      split: "train" and "val" are different pictures of the same kind.
    """

    class_names = CLASSES
    category_ids = CATEGORY_IDS
    doubts = ()

    def __init__(self, options: SyntheticOptions, split: Literal["train", "val"]) -> None:
        self._size = options.size
        self._key = (options.seed, SPLITS.index(split))
        count = {"train": options.train, "val": options.val}[split]
        self._scenes = tuple(
            _make_scene(options.size, np.random.default_rng((*self._key, position))) for position in range(count)
        )
        self.records = tuple(
            _make_record(scene, options.size, f"{split}/{position:06}", 1_000_000 * (1 + self._key[1]) + 7 * position)
            for position, scene in enumerate(self._scenes)
        )

    def read(self, position: int, reduction: int = 1) -> UInt8[np.ndarray, "h w 3"]:
        """Draw the picture of `records[position]`, RGB, whole."""
        del reduction
        random = np.random.default_rng((*self._key, position, 1))
        picture = draw_background(self._size, random)
        for shape in self._scenes[position].members + self._scenes[position].objects:
            draw_shape(picture, shape, random)
        return picture

    def orientation(self, position: int) -> int:
        """1: what is drawn is not turned."""
        return 1

    def ground_truth(self) -> dict[str, list[dict[str, Any]]]:
        """The records in COCO format."""
        annotations = [
            {"image_id": record.id, "category_id": CATEGORY_IDS[label], "bbox": [x1, y1, x2 - x1, y2 - y1]}
            | {"area": (x2 - x1) * (y2 - y1), "iscrowd": int(crowd)}
            for record in self.records
            for (x1, y1, x2, y2), label, crowd in zip(
                record.boxes.tolist(), record.labels.tolist(), record.crowd.tolist(), strict=True
            )
        ]
        return {
            "images": [
                {"id": record.id, "file_name": record.file_name, "width": record.width, "height": record.height}
                for record in self.records
            ],
            "annotations": [{"id": number} | a for number, a in enumerate(annotations, start=1)],
            "categories": [
                {"id": category, "name": name} for category, name in zip(CATEGORY_IDS, CLASSES, strict=True)
            ],
        }


def _make_record(scene: Scene, size: int, file_name: str, image_id: int) -> Record:
    regions = [(shape.label, shape.box, False) for shape in scene.objects]
    if scene.members:
        boxes = np.array([shape.box for shape in scene.members])
        regions.append((scene.members[0].label, (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)), True))
    return Record(
        id=image_id,
        file_name=file_name,
        width=size,
        height=size,
        boxes=np.array([box for _, box, _ in regions], np.float32).reshape(-1, 4),
        labels=np.array([label for label, _, _ in regions], np.int32),
        crowd=np.array([crowd for _, _, crowd in regions], bool),
    )


def _make_scene(size: int, random: np.random.Generator) -> Scene:
    """Draw a scene: objects are tried one after another; one that would cover an earlier one too much is left out."""
    if random.random() < P_EMPTY:
        return Scene((), ())
    members = _make_crowd(size, random) if random.random() < P_CROWD else ()
    objects: list[Shape] = []
    owner = np.zeros((size, size), np.uint8)
    areas: list[int] = []
    for _ in range(int(random.integers(1, MAX_OBJECTS + 1))):
        shape = _make_shape(size, objects, random)
        number = len(objects) + 1
        attempt = owner.copy()
        fill(attempt, shape, number)
        visible = np.bincount(attempt.ravel(), minlength=number + 1)[1:]
        if (visible >= MIN_VISIBLE * np.array([*areas, visible[-1]])).all():
            objects.append(shape)
            areas.append(int(visible[-1]))
            owner = attempt
    return Scene(members, tuple(objects))


def _make_shape(size: int, others: list[Shape], random: np.random.Generator) -> Shape:
    side = SIDES[0] * (SIDES[1] / SIDES[0]) ** random.random()
    wh = np.maximum(side * np.array([1.0, random.uniform(0.8, 1.0)])[random.permutation(2)], SIDES[0])
    if others and random.random() < P_TOUCHING:
        box = np.array(others[random.integers(len(others))].box)
        reach = (box[2:] - box[:2] + wh) / 2
        centre = (box[:2] + box[2:]) / 2 + random.uniform(-0.9, 0.9, 2) * reach
    else:
        centre = random.uniform(0, size, 2)
    corner = np.clip(centre - wh / 2, 0, size - wh)
    return _shape(int(random.integers(len(CLASSES))), corner, wh, random)


def _make_crowd(size: int, random: np.random.Generator) -> tuple[Shape, ...]:
    """A handful of small shapes of one class, close together."""
    label, extent = int(random.integers(len(CLASSES))), random.uniform(28, 40, 2)
    corner = random.uniform(0, size - extent)
    sides = random.uniform(7, 10, int(random.integers(8, 13)))
    return tuple(_shape(label, random.uniform(corner, corner + extent - s), np.array([s, s]), random) for s in sides)


def _shape(
    label: int, corner: Float[np.ndarray, "2"], wh: Float[np.ndarray, "2"], random: np.random.Generator
) -> Shape:
    box = (*corner.tolist(), *(corner + wh).tolist())
    return Shape(label, box, angle=random.uniform(-0.35, 0.35), hue=random.normal(label / len(CLASSES), 0.06) % 1.0)
