"""COCO as TFDS prepares it: the same records, pixels and batches as from the folder that it was made of."""

import json
import logging
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from lad_jax.data import (
    DataOptions,
    FolderOptions,
    TfdsOptions,
    eval_batches,
    fingerprint,
    make_eval_plan,
    make_plan,
    open_dataset,
    open_datasets,
    open_test,
    train_batches,
)
from lad_jax.data.coco import CocoFolder
from lad_jax.data.pictures import Unreachable
from lad_jax.data.tfds import TfdsCoco, to_pixels
from lad_jax.errors import InputError
from scripts.prepare_tfds import prepare, relative_box
from tests.data.test_pictures import with_orientation

SIZES = {30: (41, 60), 7: (50, 37), 900_000_000_001: (64, 33), 8: (40, 40)}
"""Height and width of the pictures, in the order of the file, which is not that of their ids."""
LYING = 7
"""Is stored lying on its side."""
CONTENT = {
    "categories": [{"id": 90, "name": "cat"}, {"id": 3, "name": "dog"}],
    "images": [{"id": i, "file_name": f"{i}.jpg", "height": h, "width": w} for i, (h, w) in SIZES.items()],
    "annotations": [
        {"id": 12, "image_id": 7, "category_id": 90, "bbox": [1.07, 2.33, 30.1, 20.01], "area": 150.9, "iscrowd": 0},
        {"id": 11, "image_id": 7, "category_id": 3, "bbox": [0, 0, 37, 50], "area": 1800.5, "iscrowd": 1},
        {"id": 13, "image_id": 30, "category_id": 3, "bbox": [5.3, 6.61, 1.0, 8.0], "area": 1.25},
        {"id": 14, "image_id": 7, "category_id": 90, "bbox": [5.3, 6.61, 0.99, 8.0], "area": 7.0},
        {"id": 15, "image_id": 30, "category_id": 90, "bbox": [59.1, 3.0, 0.9, 8.0], "area": 7.0},
        {"id": 16, "image_id": 900_000_000_001, "category_id": 3, "bbox": [20, 60, 13, 4], "area": 0},
    ],
}
"""Two boxes are less than a pixel wide, one has no area; picture 8 has none."""
LEFT_OUT = {14, 15, 16}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small COCO folder: train, and test without annotations."""
    root = tmp_path_factory.mktemp("coco")
    (root / "annotations").mkdir()
    (root / "annotations/instances_train2017.json").write_text(json.dumps(CONTENT))
    listed = {section: CONTENT[section] for section in ("images", "categories")}
    (root / "annotations/image_info_test2017.json").write_text(json.dumps(listed))
    listed["images"] = [image for image in CONTENT["images"] if image["id"] in (8, 30)]
    (root / "annotations/image_info_test-dev2017.json").write_text(json.dumps(listed))
    (root / "train2017").mkdir()
    (root / "test2017").symlink_to("train2017")
    y, x = np.mgrid[:64, :64]
    for number, (image_id, (height, width)) in enumerate(SIZES.items()):
        picture = np.stack([x * 3, y * 4, np.full_like(x, 60 * number)], axis=-1).astype(np.uint8)[:height, :width]
        if image_id == LYING:
            picture = np.ascontiguousarray(picture.transpose(1, 0, 2))
        cv2.imwrite(str(root / "train2017" / f"{image_id}.jpg"), picture)
    with_orientation(root / "train2017" / f"{LYING}.jpg", 6)
    return root


@pytest.fixture(scope="module")
def prepared(folder, tmp_path_factory):
    return prepare(folder, tmp_path_factory.mktemp("tfds"))


@pytest.fixture
def copy(prepared, tmp_path):
    """The prepared folder, to be spoilt."""
    return Path(shutil.copytree(prepared, tmp_path / "copy"))


@pytest.fixture(scope="module")
def real(shared, tmp_path_factory):
    """Options of COCO's pictures as a folder, and as TFDS."""
    root = shared / "data/coco"
    train, val = (
        FolderOptions(str(root / f"{split}2017"), str(root / f"annotations/instances_{split}2017.json"))
        for split in ("train", "val")
    )
    options = DataOptions(train=train, val=val, short_side=96, long_side=160, canvases=2, workers=0)
    directory = str(prepare(root, tmp_path_factory.mktemp("real")))
    return options, replace(options, source="tfds", tfds=TfdsOptions(directory))


def open_folder(folder):
    return CocoFolder(str(folder / "train2017"), str(folder / "annotations/instances_train2017.json"))


def open_split(directory, split="train", **values):
    return TfdsCoco(str(directory), split, **values)


def leaves(batch):
    return [*batch.pictures, *batch.truth, batch.position, batch.valid]


def test_records_and_pixels_equal_the_folders(folder, prepared):
    """Boxes to the last bit; among them those that decide whether one is less than a pixel wide."""
    theirs, ours = open_folder(folder), open_split(prepared)
    assert [record.id for record in ours.records] == sorted(SIZES)
    position = {record.id: i for i, record in enumerate(theirs.records)}
    for i, record in enumerate(ours.records):
        expected = theirs.records[position[record.id]]
        assert fingerprint([record]) == fingerprint([expected])
        assert record.file_name == expected.file_name
        np.testing.assert_array_equal(ours.read(i), theirs.read(position[record.id]))
    assert ours.class_names == theirs.class_names
    assert ours.category_ids == (1, 2), "TFDS has forgotten them"


def test_ground_truth_is_the_files_with_integer_areas(prepared):
    truth = {a["id"]: a for a in open_split(prepared).ground_truth()["annotations"]}
    assert truth == {
        a["id"]: {**a, "area": int(a["area"]), "category_id": {3: 1, 90: 2}[a["category_id"]]}
        | {"iscrowd": a.get("iscrowd", 0)}
        for a in CONTENT["annotations"]
        if min(a["bbox"][2:]) >= 1 and a["area"] > 0
    }


def test_boxes_are_left_out_as_from_a_folder(folder, prepared, caplog):
    with caplog.at_level(logging.WARNING):
        open_folder(folder)
        expected = {message.split(": ", 1)[1] for message in caplog.messages}
        caplog.clear()
        open_split(prepared)
    assert {message.split(": ", 1)[1] for message in caplog.messages} == expected
    assert len(expected) == 2
    with pytest.raises(InputError, match=r"^split 'train' of .*1\.1\.0: 2 boxes less than 1 pixel.*14, 15"):
        open_split(prepared, strict=True)


@pytest.mark.parametrize("side", [33, 427, 640, 7999])
def test_hundredths_of_pixels_return_exactly(side):
    """As COCO gives them, through TFDS's float32 shares."""
    ends = np.sort(np.random.default_rng(side).integers(0, 100 * side + 1, (500, 2)), axis=1)
    first, last = ends.T / 100
    shares = np.stack([first / side, first / side, last / side, last / side], axis=1).astype(np.float32)
    length = (ends[:, 1] - ends[:, 0]) / 100
    np.testing.assert_array_equal(to_pixels(shares, side, side), np.stack([first, first, length, length], axis=1))


def test_all_records_are_read_once(copy, cache, monkeypatch):
    first = open_split(copy)
    [index] = (cache / "lad_jax/tfds").iterdir()
    before = index.stat()
    assert fingerprint(open_split(copy).records) == fingerprint(first.records)
    assert index.stat().st_mtime_ns == before.st_mtime_ns
    [shard] = copy.glob("coco-train.array_record*")
    os.utime(shard, ns=(0, 0))
    open_split(copy)
    assert len(list((cache / "lad_jax/tfds").iterdir())) == 2, "other files, other index"


def test_cache_must_be_writable(copy, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(copy / "features.json"))
    with pytest.raises(InputError, match=r"cannot write .*train-\w+\.json \(Not a directory\): set XDG_CACHE_HOME"):
        open_split(copy)


def test_batches_of_real_pictures_equal_the_folders(real):
    """Images, boxes, labels, crowds and ids, also from a worker process; COCO's own category ids."""
    for ours, theirs in zip(open_datasets(real[1]), open_datasets(real[0]), strict=True):
        assert fingerprint(ours.records) == fingerprint(theirs.records)
        assert (ours.category_ids, ours.class_names) == (theirs.category_ids, theirs.class_names)
        truth, expected = (
            {a["id"]: {**a, "area": int(a["area"])} for a in dataset.ground_truth()["annotations"]}
            for dataset in (ours, theirs)
        )
        assert truth == {
            number: {key: annotation[key] for key in truth[number]} for number, annotation in expected.items()
        }

    def batches(options, workers):
        train, val = open_datasets(options)
        plan = make_plan(train, options, batch_size=16, seed=0)
        yield from train_batches(train, plan, options, start_step=0, num_steps=plan.steps_per_epoch)
        options = replace(options, workers=workers)
        yield from eval_batches(val, make_eval_plan(val, options, batch_size=16), options)

    shown = 0
    for ours, theirs in zip(batches(real[1], 1), batches(real[0], 0), strict=True):
        for a, b in zip(leaves(ours), leaves(theirs), strict=True):
            np.testing.assert_array_equal(a, b)
        shown += ours.valid.sum()
    assert shown >= 72 + 41


def test_neither_package_is_imported_in_vain(prepared):
    """TFDS only where it is the source, and TensorFlow never."""
    program = f"""
import sys, lad_jax
assert "tensorflow_datasets" not in sys.modules
from lad_jax.data import DataOptions, TfdsOptions, open_dataset
dataset = open_dataset(DataOptions(source="tfds", tfds=TfdsOptions({str(prepared)!r})), "train")
assert dataset.read(0).shape == (50, 37, 3)
assert "tensorflow_datasets" in sys.modules and "tensorflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_pictures_for_the_server(folder, prepared):
    """Those that are listed, of TFDS's larger split; by id."""
    listed = FolderOptions(annotations=str(folder / "annotations/image_info_test-dev2017.json"))
    options = DataOptions(source="tfds", tfds=TfdsOptions(str(prepared)), test=listed)
    dataset = open_test(options)
    assert [record.id for record in dataset.records] == [8, 30]
    theirs = open_folder(folder)
    for position, record in enumerate(dataset.records):
        assert not len(record.boxes)
        expected = theirs.read([r.id for r in theirs.records].index(record.id))
        np.testing.assert_array_equal(dataset.read(position), expected)
    with pytest.raises(InputError, match=r"config\.data\.test\.annotations is empty.*image_info_test-dev2017"):
        open_test(replace(options, test=FolderOptions()))


def test_listed_pictures_must_be_there(prepared):
    with pytest.raises(InputError, match=r"1 of 2 listed pictures are not in split 'test' of .*: ids 9"):
        open_split(prepared, "test", image_ids=[8, 9])


def edit_info(folder, **values):
    file = folder / "dataset_info.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_bad_folders_are_named(prepared, copy, tmp_path):
    def message(directory):
        with pytest.raises(InputError) as caught:
            open_dataset(DataOptions(source="tfds", tfds=TfdsOptions(str(directory))), "train")
        return str(caught.value)

    assert message("").startswith("config.data.tfds.directory is empty")
    assert message(tmp_path / "none") == f"TFDS folder {tmp_path / 'none'} not found: check config.data.tfds.directory."
    assert "is no version that TFDS has prepared" in message(prepared.parent)
    with pytest.raises(InputError, match=r"tfds\.directory, has no split 'validation', but only 'train', 'test'"):
        open_dataset(DataOptions(source="tfds", tfds=TfdsOptions(str(prepared))), "val")
    edit_info(copy, version="1.0.0")
    assert "holds coco/2017/1.0.0, but config.data.tfds.directory must be a prepared coco/2017/1.1.0" in message(copy)
    edit_info(copy, version="1.1.0", name="mnist")
    assert "holds mnist/2017/1.1.0" in message(copy)
    edit_info(copy, name="coco", fileFormat="tfrecord")
    assert "prepared as tfrecord" in message(copy) and "python -m scripts.prepare_tfds" in message(copy)
    edit_info(copy, fileFormat="array_record")
    [shard] = copy.glob("coco-train.array_record*")
    shard.unlink()
    assert f"files of split 'train' are not in {copy}: {shard.name}" in message(copy)


def test_bad_pictures_are_named(folder, tmp_path):
    """A file without header when the sizes are read, a cut off one when it is decoded."""
    broken = Path(shutil.copytree(folder, tmp_path / "broken", symlinks=True))
    file = broken / "train2017/8.jpg"
    good = file.read_bytes()
    file.write_bytes(good[:-30])
    dataset = open_split(prepare(broken, tmp_path / "cut"))
    with pytest.raises(InputError, match=r"picture 8\.jpg in split 'train' of .* is cut off after"):
        dataset.read(1)
    file.write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"picture 8\.jpg in split 'train' of .* \(10 bytes\) has no header"):
        open_split(prepare(broken, tmp_path / "none"))


def test_boxes_are_cut_at_the_border():
    """TFDS refuses shares outside 0…1."""
    assert relative_box([50, -3, 20, 13], 60, 40) == (0, 50 / 60, 10 / 40, 1)


def test_what_cannot_be_prepared_is_named(folder, prepared, tmp_path):
    with pytest.raises(InputError, match=r"1\.1\.0 is there already: remove it, or take another --output"):
        prepare(folder, prepared.parents[2])
    with pytest.raises(InputError, match=r"has none of instances_train2017\.json, .*: check --coco"):
        prepare(tmp_path, tmp_path / "tfds")


def test_files_that_are_gone_for_a_while_are_opened_anew(prepared, copy):
    expected = open_split(prepared).read(1)
    open_split(copy)  # reads the boxes
    dataset = open_split(copy)  # has them, and opens its files for the first picture
    [shard] = copy.glob("coco-train.array_record*")
    away = shard.rename(copy / "away")
    with pytest.raises(Unreachable, match=r"cannot read picture 8\.jpg in split 'train' of .*No such file"):
        dataset.read(1)
    away.rename(shard)
    np.testing.assert_array_equal(dataset.read(1), expected)
    with shard.open("r+b") as file:
        file.truncate(shard.stat().st_size // 2)
    with pytest.raises(Unreachable, match=r"cannot read picture 8\.jpg in split 'train' of "):
        pickle.loads(pickle.dumps(dataset)).read(1)  # as a worker gets it
