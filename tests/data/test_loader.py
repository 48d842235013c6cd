"""Plans and batches: the same whatever reads them, every picture where and as often as it should be."""

import dataclasses
import gc
import json
import logging
import multiprocessing
import os
from pathlib import Path

import cv2
import jax
import numpy as np
import pytest

from lad_jax.data import (
    DataOptions,
    Record,
    SyntheticOptions,
    eval_batches,
    make_eval_plan,
    make_plan,
    max_objects,
    open_dataset,
    train_batches,
)
from lad_jax.data.coco import CocoFolder
from lad_jax.errors import InputError

SHAPES = DataOptions(
    source="synthetic",
    synthetic=SyntheticOptions(train=40, val=11, size=96),
    short_side=96,
    long_side=128,
    workers=0,
)
VARIED = dataclasses.replace(
    SHAPES, short_sides=(64, 96), scale_buckets=2, crop=0.5, crop_short_sides=(80, 96), crop_range=(40, 90)
)
SIZES = [(60, 90)] * 7 + [(90, 60)] * 5 + [(64, 64)] * 2
FOLDER = DataOptions(short_side=64, long_side=96, canvases=2, workers=0)


class Sizes:
    """Pictures of several shapes, each of one gray level that tells its position, with a brighter box in it."""

    class_names = ("box",)
    category_ids = (4,)

    def __init__(self, sizes=SIZES, bad=()):
        self.records = tuple(
            Record(
                id=100 + i,
                file_name=f"{i}.png",
                width=width,
                height=height,
                boxes=np.array([[10, 20, 30, 50], [-20, -20, 0, 10], [40, 5, 200, 15]], np.float32),
                labels=np.zeros(3, np.int32),
                crowd=np.array([False, False, True]),
            )
            for i, (height, width) in enumerate(sizes)
        )
        self._bad = bad

    def orientation(self, position):
        return 1

    def read(self, position, reduction=1):
        if position in self._bad:
            raise InputError(f"picture {position}.png is bad, JAX_PLATFORMS={os.environ.get('JAX_PLATFORMS')}")
        record = self.records[position]
        picture = np.full((record.height, record.width, 3), 10 + position, np.uint8)
        picture[20:50, 10:30] = 200
        return picture

    doubts = ()

    def ground_truth(self):
        return {}


def flat(batch):
    return [*batch.pictures, *batch.truth, batch.position, batch.valid]


def assert_same(a, b):
    for one, other in zip(flat(a), flat(b), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def train(dataset, options, *, batch_size=4, seed=0, start=0, steps=None):
    plan = make_plan(dataset, options, batch_size=batch_size, seed=seed)
    return list(
        train_batches(dataset, plan, options, start_step=start, num_steps=steps or plan.steps_per_epoch - start)
    )


@pytest.fixture(scope="module")
def shapes():
    return open_dataset(SHAPES, "train")


@pytest.mark.parametrize(("options", "workers"), [(SHAPES, 1), (VARIED, 2)])
def test_any_number_of_workers_reads_the_same(shapes, options, workers):
    alone = train(shapes, options, steps=7)
    together = train(shapes, dataclasses.replace(options, workers=workers), steps=7)
    assert len(alone) == len(together) == 7
    for a, b in zip(alone, together, strict=True):
        assert_same(a, b)


@pytest.mark.parametrize("options", [SHAPES, VARIED])
def test_start_step_changes_nothing(shapes, options):
    """Over the end of an epoch, too: 40 pictures with objects or fewer are at most 10 steps of 4."""
    whole = train(shapes, options, steps=14)
    for start in (3, 12):
        for a, b in zip(whole[start:], train(shapes, options, start=start, steps=14 - start), strict=True):
            assert_same(a, b)


def test_epochs_and_seeds_differ():
    dataset = Sizes()
    plan = make_plan(dataset, FOLDER, batch_size=2, seed=0)
    other = make_plan(dataset, FOLDER, batch_size=2, seed=1)
    steps = range(plan.steps_per_epoch)
    first = [plan.step(step)[1].tolist() for step in steps]
    assert first != [plan.step(step + plan.steps_per_epoch)[1].tolist() for step in steps]
    assert first != [other.step(step)[1].tolist() for step in steps]


@pytest.mark.parametrize("batch_size", [1, 3, 4, 20])
def test_an_epoch_shows_every_picture_in_full_batches_of_one_canvas(batch_size):
    dataset = Sizes()
    plan = make_plan(dataset, FOLDER, batch_size=batch_size, seed=0)
    assert len(plan.canvases) == 2
    for epoch in range(3):
        seen = np.zeros(len(SIZES), int)
        for step in range(plan.steps_per_epoch):
            canvas, positions, _ = plan.step(epoch * plan.steps_per_epoch + step)
            assert positions.shape == (batch_size,)
            group = plan.groups[plan.canvases.index(canvas)]
            assert set(positions) <= set(group)
            np.add.at(seen, positions, 1)
        assert seen.min() >= 1
        assert seen.sum() == plan.steps_per_epoch * batch_size
        if batch_size <= 4:  # only the last batch of a canvas is filled up
            assert seen.max() <= 2


def test_shapes_are_those_of_the_plan():
    dataset = Sizes()
    plan = make_plan(dataset, FOLDER, batch_size=3, seed=0)
    shapes = {tuple(field.shape for field in flat(batch)) for batch in train(dataset, FOLDER, batch_size=3)}
    assert len(shapes) == len(plan.canvases)
    assert {shape[0] for shape in shapes} == {(3, *canvas, 3) for canvas in plan.canvases}
    assert {shape[3] for shape in shapes} == {(3, plan.max_objects, 4)}


def test_content_truth_and_padding():
    dataset = Sizes()
    flipped = 0
    for batch in train(dataset, FOLDER):
        assert batch.valid.all()
        for row, position in enumerate(batch.position):
            record = dataset.records[position]
            height, width = batch.pictures.image_hw[row]
            np.testing.assert_allclose(
                batch.pictures.scale[row], [width / record.width, height / record.height], rtol=1e-6
            )
            image = batch.pictures.images[row]
            assert image[height - 1, width - 1, 0] == 10 + position
            assert not image[height:].any()
            assert not image[:, width:].any()
            # the box beyond the border is gone, the crowd is clipped, and the first is where the bright pixels are
            np.testing.assert_array_equal(batch.truth.mask[row], [True] * 2 + [False] * 6)
            np.testing.assert_array_equal(batch.truth.crowd[row], [False, True] + [False] * 6)
            bright = image[..., 0] > 110
            ys, xs = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
            box, crowd = batch.truth.boxes[row, :2]
            assert np.abs(np.array([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1]) - box).max() <= 1
            mirrored = crowd[0] == 0
            assert (crowd[2] == width) != mirrored
            flipped += mirrored
    assert 0 < flipped < 16


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_flip_probability(probability):
    options = dataclasses.replace(FOLDER, flip=probability)
    for batch in train(Sizes(), options):
        assert ((batch.truth.boxes[:, 1, 0] == 0) == bool(probability)).all()


def test_flip_is_the_mirror_image():
    plain, mirrored = (train(Sizes(), dataclasses.replace(FOLDER, flip=p), batch_size=1) for p in (0.0, 1.0))
    for a, b in zip(plain, mirrored, strict=True):
        width = int(a.pictures.image_hw[0, 1])
        np.testing.assert_array_equal(b.pictures.images[0, :, :width], a.pictures.images[0, :, :width][:, ::-1])
        x1, y1, x2, y2 = a.truth.boxes[0, 0]
        np.testing.assert_allclose(b.truth.boxes[0, 0], [width - x2, y1, width - x1, y2], rtol=1e-6)


@pytest.mark.parametrize("workers", [0, 1])
def test_eval_shows_every_picture_once(workers):
    dataset, options = Sizes(), dataclasses.replace(FOLDER, workers=workers)
    plan = make_eval_plan(dataset, options, batch_size=4)
    batches = list(eval_batches(dataset, plan, options))
    index = np.concatenate([batch.position for batch in batches])
    assert sorted(index[index >= 0]) == list(range(len(SIZES)))
    for batch in batches:
        assert len(batch.position) == 4
        np.testing.assert_array_equal(batch.valid, batch.position >= 0)
        assert not batch.pictures.images[~batch.valid].any()
        assert not batch.truth.mask[~batch.valid].any()
        assert (batch.truth.boxes[batch.valid, 1, 0] > 0).all()  # never mirrored


def test_eval_holds_pictures_that_training_leaves_out(shapes):
    empty = [i for i, record in enumerate(shapes.records) if record.crowd.all()]
    assert empty
    plan = make_eval_plan(shapes, SHAPES, batch_size=8)
    index = np.concatenate([batch.position for batch in eval_batches(shapes, plan, SHAPES)])
    assert set(empty) <= set(index)
    trained = np.concatenate([batch.position for batch in train(shapes, SHAPES)])
    assert not set(empty) & set(trained)
    with_empty = train(shapes, dataclasses.replace(SHAPES, filter_empty=False))
    assert set(empty) <= set(np.concatenate([batch.position for batch in with_empty]))


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_picture_stops_by_name(workers, monkeypatch):
    """As the InputError that it was raised as; the worker that raised it would open no accelerator."""
    monkeypatch.setenv("JAX_PLATFORMS", "cpu,but,here")
    platforms = "cpu" if workers else "cpu,but,here"
    with pytest.raises(InputError, match=rf"^picture 3\.png is bad, JAX_PLATFORMS={platforms}$"):
        train(Sizes(bad={3}), dataclasses.replace(FOLDER, workers=workers))
    assert os.environ["JAX_PLATFORMS"] == "cpu,but,here"


def test_bad_picture_is_skipped_if_asked(caplog):
    options = dataclasses.replace(FOLDER, on_bad_picture="skip")
    with caplog.at_level(logging.WARNING):
        batches = train(Sizes(bad={3}), options)
    assert "skipped: picture 3.png is bad" in caplog.text
    for good, batch in zip(train(Sizes(), FOLDER), batches, strict=True):
        bad = batch.position == 3
        np.testing.assert_array_equal(batch.position, good.position)
        np.testing.assert_array_equal(batch.valid, ~bad)
        assert not batch.truth.mask[bad].any()
        assert not batch.pictures.images[bad].any()
        np.testing.assert_array_equal(batch.pictures.images[~bad], good.pictures.images[~bad])
    assert sum((batch.position == 3).sum() for batch in batches) >= 1


def test_cut_off_file_in_a_folder_stops_in_a_worker(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    for name in ("a.jpg", "b.jpg"):
        cv2.imwrite(str(tmp_path / name), picture)
    (tmp_path / "b.jpg").write_bytes((tmp_path / "b.jpg").read_bytes()[:-500])
    images = [{"id": i, "file_name": name, "width": 64, "height": 64} for i, name in enumerate(["a.jpg", "b.jpg"])]
    annotations = [{"id": i, "image_id": i, "category_id": 1, "bbox": [1, 1, 9, 9], "area": 81} for i in range(2)]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "x"}]}
    (tmp_path / "a.json").write_text(json.dumps(content))
    dataset = CocoFolder(str(tmp_path), str(tmp_path / "a.json"))
    with pytest.raises(InputError, match=r"b\.jpg is cut off"):
        train(dataset, dataclasses.replace(FOLDER, workers=1))


def test_batches_outlive_their_workers_and_the_names_of_shared_memory(shapes, monkeypatch):
    """On devices too, which have no copy of them where they are a CPU's."""
    monkeypatch.setattr("lad_jax.data.workers.secrets.token_hex", lambda _: "outlived")
    expected = train(shapes, SHAPES, steps=5)
    found = train(shapes, dataclasses.replace(SHAPES, workers=1), steps=5)
    on_device = [jax.device_put(batch.pictures.images) for batch in found]
    assert not list(Path("/dev/shm").glob("outlived*")) and not multiprocessing.active_children()
    for ours, theirs in zip(found, expected, strict=True):
        assert_same(ours, theirs)
    del found, ours
    gc.collect()
    for images, batch in zip(on_device, expected, strict=True):
        np.testing.assert_array_equal(images, batch.pictures.images)


def test_workers_end_with_the_iterator(shapes):
    plan = make_plan(shapes, SHAPES, batch_size=4, seed=0)
    options = dataclasses.replace(SHAPES, workers=2)
    batches = train_batches(shapes, plan, options, start_step=0, num_steps=10**9)
    next(batches)
    assert len(multiprocessing.active_children()) == 2
    batches.close()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("size", [(33, 20_000), (20_000, 33)])
def test_a_very_thin_picture_is_trained_on(size):
    options = dataclasses.replace(FOLDER, pad_multiple=32)
    [batch] = train(Sizes([size]), options, batch_size=1)
    height, width = batch.pictures.image_hw[0]
    assert batch.valid.all() and max(height, width) == 96 and min(height, width) >= 1
    assert batch.pictures.images[0, :height, :width].any() and np.isfinite(batch.truth.boxes).all()


def test_max_objects_rounds_up():
    record = Sizes().records[0]

    def with_boxes(n):
        return record._replace(boxes=np.zeros((n, 4), np.float32))

    assert [max_objects([with_boxes(n)]) for n in (0, 1, 8, 9, 63)] == [8, 8, 8, 16, 64]
    assert max_objects([with_boxes(2), with_boxes(17), with_boxes(3)]) == 24


def test_nothing_to_train_on():
    with pytest.raises(InputError, match="none of the 2 training pictures has an object and sides of at least 32"):
        make_plan(Sizes([(20, 90), (90, 31)]), FOLDER, batch_size=2, seed=0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"short_side": 0}, "^short_side is 0"),
        ({"long_side": 700}, r"^long_side is 700, less than short_side \(800\)"),
        ({"flip": 1.5}, "^flip is 1.5"),
        ({"canvases": 0}, "^canvases is 0"),
        ({"pad_multiple": 0}, "^pad_multiple is 0"),
        ({"workers": -1}, "^workers is -1"),
        ({"crop": -0.5}, "^crop is -0.5; it must be between 0 and 1"),
        ({"short_sides": (640, 1400)}, r"^short_sides goes up to 1400, more than long_side \(1333\): raise long_side"),
        ({"short_sides": (640, 800, 720)}, "^short_sides has 720 after 800; its sides must rise"),
        ({"short_sides": (0, 640, 800)}, r"^short_sides is \(0, 640, 800\); it must list sides of at least 1"),
        ({"short_sides": (640, 800), "scale_buckets": 0}, "^scale_buckets is 0; it must be at least 1"),
        ({"crop": 0.5, "crop_short_sides": ()}, r"^crop_short_sides is \(\); it must list"),
        ({"crop": 0.5, "crop_range": (600, 384)}, r"^crop_range is \(600, 384\); it must be \(least, most\)"),
        ({"crop": 0.5, "crop_range": (0, 384)}, r"^crop_range is \(0, 384\)"),
        ({"scale_jitter": (1.2, 0.8)}, r"^scale_jitter is \(1.2, 0.8\); it must be \(least, most\), from 0.1 to 10"),
        ({"scale_jitter": (0.0, 2.0)}, r"^scale_jitter is \(0.0, 2.0\)"),
        ({"crop": 0.5, "scale_jitter": (0.5, 2.0)}, r"^scale_jitter is \(0.5, 2.0\) and crop 0.5, but both change"),
        ({"colour_jitter": 1.5}, r"^colour_jitter is 1.5; it must be between 0 and 1"),
    ],
)
def test_options_out_of_range(values, message):
    with pytest.raises(ValueError, match=message):
        DataOptions(**values)
