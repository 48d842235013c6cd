"""The drawn data set: repeatable, annotated truly, and fit for assignment over several pyramid levels."""

import cv2
import numpy as np
import pytest

from lad_jax.data import SyntheticOptions
from lad_jax.data.drawing import CLASSES, Shape, fill
from lad_jax.data.synthetic import SyntheticShapes
from lad_jax.priors import make_priors

OPTIONS = SyntheticOptions(train=300, val=40, seed=3)


def pairwise_iou(a, b):
    a, b = np.asarray(a)[:, None], np.asarray(b)[None]
    overlap = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(axis=-1)
    areas = [(x[..., 2:] - x[..., :2]).prod(axis=-1) for x in (a, b)]
    return overlap / (areas[0] + areas[1] - overlap)


@pytest.fixture(scope="module")
def shapes():
    return SyntheticShapes(OPTIONS, "train")


def test_same_seed_same_pictures(shapes):
    again = SyntheticShapes(OPTIONS, "train")
    for position in (0, 7, 299):
        np.testing.assert_array_equal(again.read(position), shapes.read(position))
        np.testing.assert_array_equal(again.records[position].boxes, shapes.records[position].boxes)


def test_splits_and_seeds_differ(shapes):
    val = SyntheticShapes(OPTIONS, "val")
    other = SyntheticShapes(SyntheticOptions(seed=4), "train")
    assert len(val.records) == 40
    assert not {r.id for r in val.records} & {r.id for r in shapes.records}
    for position in range(5):
        assert (val.read(position) != shapes.read(position)).mean() > 0.5
        assert (other.read(position) != shapes.read(position)).mean() > 0.5


@pytest.mark.parametrize("size", [96, 128, 160])
def test_every_object_has_candidates_on_two_levels(size):
    dataset = SyntheticShapes(SyntheticOptions(train=300, size=size), "train")
    boxes = np.concatenate([record.boxes[~record.crowd] for record in dataset.records])
    priors = make_priors((size, size), strides=(4, 8, 16, 32, 64), scale=4.0)
    overlaps = pairwise_iou(boxes, priors.boxes)
    best = np.stack([overlaps[:, priors.levels.of_prior == level].max(axis=1) for level in range(5)], axis=1)
    assert len(boxes) > 800
    assert ((best >= 0.1).sum(axis=1) >= 2).all()


def test_boxes_lie_inside_and_span_two_octaves(shapes):
    boxes = np.concatenate([record.boxes for record in shapes.records])
    sides = np.concatenate([(r.boxes[:, 2:] - r.boxes[:, :2])[~r.crowd] for r in shapes.records])
    assert boxes.min() >= 0
    assert boxes.max() <= OPTIONS.size
    assert 11.9 < sides.min() < 13
    assert 44 < sides.max() < 48.1


@pytest.mark.parametrize("label", range(len(CLASSES)))
def test_box_is_the_extent_of_the_shape(label):
    random = np.random.default_rng(label)
    for _ in range(20):
        corner, wh = random.uniform(5, 60, 2), random.uniform(12, 48, 2)
        box = (*corner.tolist(), *(corner + wh).tolist())
        canvas = np.zeros((128, 128), np.uint8)
        fill(canvas, Shape(label, box, angle=random.uniform(-0.35, 0.35), hue=0.0), 1)
        ys, xs = np.flatnonzero(canvas.any(axis=1)), np.flatnonzero(canvas.any(axis=0))
        assert np.abs(np.array([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1]) - box).max() <= 1.5


def test_annotated_objects_are_in_the_picture(shapes):
    """Inside the annotated boxes the colours are more vivid than in the background of the same picture."""
    vivid = []
    for position in range(60):
        record = shapes.records[position]
        saturation = cv2.cvtColor(shapes.read(position), cv2.COLOR_RGB2HSV)[..., 1]
        inside = np.zeros(saturation.shape, bool)
        for x1, y1, x2, y2 in record.boxes.round().astype(int):
            inside[y1:y2, x1:x2] = True
        if inside.any():
            vivid.append(saturation[inside].mean() > saturation[~inside].mean())
    assert len(vivid) > 50
    assert np.mean(vivid) > 0.9


def test_variety(shapes):
    counts = np.array([(~record.crowd).sum() for record in shapes.records])
    labels = np.bincount(np.concatenate([record.labels for record in shapes.records]), minlength=len(CLASSES))
    crowds = sum(record.crowd.any() for record in shapes.records)
    overlapping = [(np.triu(pairwise_iou(r.boxes, r.boxes), k=1) > 0.05).any() for r in shapes.records if len(r.boxes)]
    assert 5 < (counts == 0).sum() < 60
    assert counts.max() >= 8
    assert labels.min() > 0.12 * labels.sum()
    assert 15 < crowds < 60
    assert 0.3 < np.mean(overlapping) < 0.9


def test_objects_stay_visible(shapes):
    """Painted over each other, every object keeps about 40 % of its area."""
    for scene in shapes._scenes[:100]:
        canvas, areas = np.zeros((OPTIONS.size, OPTIONS.size), np.uint8), []
        for number, shape in enumerate(scene.objects, start=1):
            fill(canvas, shape, number)
            areas.append((canvas == number).sum())
        left = np.array([(canvas == number).sum() for number in range(1, len(areas) + 1)])
        assert (left >= 0.4 * np.array(areas)).all()


def test_ground_truth_agrees_with_records(shapes):
    truth = shapes.ground_truth()
    assert [c["id"] for c in truth["categories"]] == list(shapes.category_ids)
    assert [c["name"] for c in truth["categories"]] == list(shapes.class_names)
    assert min(a["id"] for a in truth["annotations"]) == 1
    assert len({a["id"] for a in truth["annotations"]}) == len(truth["annotations"])
    record = max(shapes.records, key=lambda r: (r.crowd.any(), len(r.boxes)))
    mine = [a for a in truth["annotations"] if a["image_id"] == record.id]
    xywh = np.array([a["bbox"] for a in mine])
    np.testing.assert_allclose(np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1), record.boxes)
    assert [a["category_id"] for a in mine] == [shapes.category_ids[label] for label in record.labels]
    assert [a["iscrowd"] for a in mine] == record.crowd.tolist()


@pytest.mark.parametrize(("name", "value"), [("train", 0), ("val", -1), ("size", 200), ("size", 64), ("seed", -1)])
def test_options_out_of_range(name, value):
    with pytest.raises(ValueError, match=f"^{name} is {value}"):
        SyntheticOptions(**{name: value})
