"""Crops and scales of training pictures against a literal twin, and how they are drawn."""

import dataclasses

import cv2
import numpy as np
import pytest
import scipy.stats

from lad_jax.data import DataOptions, Record, make_plan, train_batches
from lad_jax.data.augment import draw_augmentation
from lad_jax.data.colours import recolour
from lad_jax.data.transforms import fitted_hw, resized_hw
from lad_jax.data.views import draw_crop, draw_scaled
from tests.data.test_transforms import draw, find

OPTIONS = DataOptions(
    short_side=96,
    short_sides=(40, 64, 96),
    long_side=144,
    canvases=2,
    crop=1.0,
    crop_short_sides=(60, 80),
    crop_range=(30, 70),
    workers=0,
)
SCALED = DataOptions(
    short_side=64, long_side=96, canvases=2, scale_jitter=(0.5, 2.0), colour_jitter=0.5, flip=0.3, workers=0
)
SIZES = [(60, 90), (90, 60), (64, 64), (50, 120), (33, 140), (75, 100)]


def _record(number, height, width, random):
    corners = random.uniform(-5, (width - 5, height - 5), (6, 2))
    boxes = np.concatenate([corners, corners + random.uniform(3, 30, (6, 2))], axis=1).astype(np.float32)
    labels, crowd = random.integers(0, 3, 6).astype(np.int32), random.random(6) < 0.2
    return Record(number, f"{number}.png", width, height, boxes, labels, crowd)


class Noise:
    """Pictures of noise with a few boxes: crops hold some, cut some and miss some."""

    class_names = ("one", "two", "three")
    category_ids = (1, 2, 3)

    def __init__(self):
        random = np.random.default_rng(0)
        self._pictures = [random.integers(0, 255, (*hw, 3), np.uint8) for hw in SIZES]
        self.records = tuple(_record(number, *hw, random) for number, hw in enumerate(SIZES))

    def orientation(self, position):
        return 1

    def read(self, position, reduction=1):
        return self._pictures[position]

    doubts = ()

    def ground_truth(self):
        return {}


def twin(picture, record, augmentation, canvas):
    """Resize, cut, resize, recolour, mirror and pad, step by step as the references do, with plain numbers."""
    view, flip, colours = augmentation
    (h0, w0), (top, left), (h, w), (h1, w1) = (pair.tolist() for pair in view)
    part = cv2.resize(picture, (w0, h0))[top : top + h, left : left + w]
    part = cv2.resize(part, (w1, h1))
    part = part if colours is None else recolour(part, colours)
    image = np.zeros((*canvas, 3), np.uint8)
    image[:h1, :w1] = part[:, ::-1] if flip else part
    kept = []
    for (x1, y1, x2, y2), label, crowd in zip(record.boxes.tolist(), record.labels, record.crowd, strict=True):
        x1, x2 = (min(max(x * w0 / record.width - left, 0), w) for x in (x1, x2))
        y1, y2 = (min(max(y * h0 / record.height - top, 0), h) for y in (y1, y2))
        if x2 > x1 and y2 > y1:
            x1, x2 = (x * w1 / w for x in (x1, x2))
            if flip:
                x1, x2 = w1 - x2, w1 - x1
            kept.append((x1, y1 * h1 / h, x2, y2 * h1 / h, label, crowd))
    return image, np.array(kept).reshape(-1, 6), (h1, w1)


def shown(dataset, options, epochs):
    """Rows of a run: (batch, row, canvas, short side, record, augmentation)."""
    plan = make_plan(dataset, options, batch_size=3, seed=4)
    batches = train_batches(dataset, plan, options, start_step=0, num_steps=epochs * plan.steps_per_epoch)
    for step, batch in enumerate(batches):
        canvas, positions, short_side = plan.step(step)
        for row, position in enumerate(positions):
            record = dataset.records[position]
            original = np.array([record.height, record.width])
            at = {"canvas": canvas, "short_side": short_side, "seed": 4, "step": step, "row": row}
            yield batch, row, canvas, short_side, record, draw_augmentation(original, options, **at)


@pytest.mark.parametrize("options", [OPTIONS, SCALED], ids=["crops", "scales"])
def test_pictures_equal_the_twin(options):
    dataset = Noise()
    counts = []
    for batch, row, canvas, _, record, augmentation in shown(dataset, options, 8):
        image, kept, hw = twin(dataset.read(record.id), record, augmentation, canvas)
        assert batch.valid[row]
        np.testing.assert_array_equal(batch.pictures.images[row], image)
        np.testing.assert_array_equal(batch.pictures.image_hw[row], hw)
        truth = [field[row][: len(kept)] for field in batch.truth]
        np.testing.assert_array_equal(batch.truth.mask[row], np.arange(batch.truth.mask.shape[1]) < len(kept))
        np.testing.assert_allclose(truth[0], kept[:, :4], atol=1e-4)
        np.testing.assert_array_equal(truth[1], kept[:, 4])
        np.testing.assert_array_equal(truth[3], kept[:, 5])
        view, original = augmentation.view, (record.height, record.width)
        np.testing.assert_allclose(
            batch.pictures.scale[row], (view.resized * view.hw / view.part / original)[::-1], rtol=1e-6
        )
        counts.append(len(kept))
    assert min(counts) < 2, "one that shows hardly an object is kept"
    assert max(counts) >= 5


def test_crops_fill_the_canvas():
    """To the batch's short side, the long side, or the canvas's, whichever comes first."""
    fits = []
    for _, _, canvas, short_side, _, (view, *_) in shown(Noise(), OPTIONS, 8):
        (h, w), (h1, w1) = view.part, view.hw
        factor = min(144 / max(h, w), short_side / min(h, w), canvas[0] / h, canvas[1] / w)
        assert (h1, w1) == (int(h * factor + 0.5), int(w * factor + 0.5))
        fits.append(max(h1, w1) == 144 or min(h1, w1) == short_side)
    assert 0 < np.mean(fits) < 1, "some are bounded by the canvas"


def test_scales_are_drawn_evenly_in_their_logarithm():
    """The whole picture is as much larger or smaller as drawn, and what shows is no larger than without."""
    random, original = np.random.default_rng(0), np.array([600, 900])
    plain = np.array([640, 960])
    options = dataclasses.replace(SCALED, long_side=1000)
    views = [draw_scaled(original, options, random, short_side=640) for _ in range(4000)]
    factors = np.array([view.resized[0] / 640 for view in views])
    assert factors.min() >= 0.5 - 1e-3 and factors.max() <= 2 + 1e-3
    assert scipy.stats.kstest(np.log2(factors), scipy.stats.uniform(-1, 2).cdf).pvalue > 0.01
    places = []
    for view in views:
        np.testing.assert_allclose(view.resized / plain, view.resized[0] / 640, rtol=3e-3)
        np.testing.assert_array_equal(view.hw, np.minimum(view.resized, plain))
        np.testing.assert_array_equal(view.part, view.hw)
        assert (view.corner >= 0).all() and (view.corner + view.part <= view.resized).all()
        if (view.resized > plain + 20).all():
            places.append(view.corner / (view.resized - plain))
    for place in np.transpose(places):
        assert np.mean(place) == pytest.approx(0.5, abs=0.03) and place.min() < 0.01 and place.max() > 0.99


def test_boxes_stay_on_their_pixels():
    """Without a look at what was drawn: the rectangle's pixels are where the truth says."""
    box = (30, 20, 70, 60)
    dataset = Noise()
    dataset.read = lambda position, reduction: draw((75, 100), box)
    dataset.records = [
        Record(number, "", 100, 75, np.array([box], np.float32), np.zeros(1, np.int32), np.zeros(1, bool))
        for number in range(4)
    ]
    plan = make_plan(dataset, OPTIONS, batch_size=4, seed=0)
    seen = 0
    for batch in train_batches(dataset, plan, OPTIONS, start_step=0, num_steps=8):
        for image, truth in zip(batch.pictures.images, batch.truth.boxes, strict=True):
            if (truth[0, 2:] - truth[0, :2] > 4).all():
                assert np.abs(find(image) - truth[0]).max() <= 1.5
                seen += 1
    assert seen > 20


@pytest.mark.parametrize("hw", [(60, 90), (20, 200)])
def test_crops_are_drawn_evenly(hw):
    """Short side, height, width and place, each against the uniform one on its own bounds."""
    random, original = np.random.default_rng(0), np.array(hw)
    crops = [draw_crop(original, OPTIONS, random, canvas=(96, 160), short_side=96) for _ in range(4000)]
    sizes = {resized_hw(original, short_side=side, long_side=144).tobytes() for side in (60, 80)}
    assert {crop.resized.tobytes() for crop in crops} == sizes
    for resized in map(np.frombuffer, sizes, [np.int64] * 2):
        mine = [crop for crop in crops if (crop.resized == resized).all()]
        assert len(mine) == pytest.approx(len(crops) / len(sizes), rel=0.05)
        for axis in range(2):
            side = int(resized[axis])
            low, high = min(side, 30), min(side, 70)
            counts = np.bincount([crop.part[axis] - low for crop in mine], minlength=high - low + 1)
            assert len(counts) == high - low + 1
            assert low == high or scipy.stats.chisquare(counts).pvalue > 0.01
            free = [(crop.corner[axis], side - crop.part[axis]) for crop in mine if crop.part[axis] < side]
            assert all(0 <= corner <= margin for corner, margin in free)
            if free:
                assert np.mean([corner / margin for corner, margin in free]) == pytest.approx(0.5, abs=0.03)
                assert {corner == margin for corner, margin in free} == {False, True}, "up to the last pixel"


def test_probability_and_flips():
    """Crops are as frequent as asked, of pictures mirrored or not; and which are mirrored is what it always was."""

    def drawn(**changes):
        options = dataclasses.replace(OPTIONS, **changes)
        at = {"canvas": (96, 160), "short_side": 96, "seed": 3}
        return [
            draw_augmentation(np.array([60, 90]), options, step=step, row=row, **at)
            for step in range(120)
            for row in range(8)
        ]

    flips = [np.random.default_rng((3, step, row)).random() < 0.5 for step in range(120) for row in range(8)]
    for probability in (0.0, 0.5, 1.0):
        augmentations = drawn(crop=probability)
        assert [augmentation.flip for augmentation in augmentations] == flips
        cropped = np.array(
            [(augmentation.view.part != augmentation.view.resized).any() for augmentation in augmentations]
        )
        assert cropped.mean() == pytest.approx(probability, abs=0.04)
        if probability == 0.5:
            assert abs(np.corrcoef(cropped, flips)[0, 1]) < 0.08
    others = drawn(crop=0.0, scale_jitter=(0.5, 2.0), colour_jitter=0.5)
    assert [augmentation.flip for augmentation in others] == flips
    factors = np.log([augmentation.view.resized[0] / 96 for augmentation in others])
    contrasts = [augmentation.colours[0, :3].sum() for augmentation in others]
    assert np.abs(np.corrcoef([factors, contrasts, flips]) - np.eye(3)).max() < 0.1, "drawn apart from each other"


def test_fitted_size():
    """As large as the sides allow, and no larger than the canvas."""
    sides = {"short_side": 80, "long_side": 144}
    for hw in np.random.default_rng(0).integers(10, 300, (300, 2)):
        free = resized_hw(hw, **sides)
        np.testing.assert_array_equal(fitted_hw(hw, (160, 160), **sides), free)
        fitted = fitted_hw(hw, (96, 160), **sides)
        if free[0] <= 96:
            np.testing.assert_array_equal(fitted, free)
        else:
            assert fitted[0] == 96 and abs(fitted[1] - hw[1] * 96 / hw[0]) <= 0.5 + 1e-9
