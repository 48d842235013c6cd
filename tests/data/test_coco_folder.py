"""Folders in COCO format: ids, filter, one clear message for each thing that can be wrong."""

import copy
import json
import logging

import cv2
import numpy as np
import pytest

from lad_jax.data import (
    DataOptions,
    FolderOptions,
    make_plan,
    open_dataset,
    open_datasets,
    open_test,
    training_positions,
)
from lad_jax.data.coco import CocoFolder
from lad_jax.errors import InputError

CONTENT = {
    "categories": [{"id": 90, "name": "cat"}, {"id": 3, "name": "dog"}, {"id": 17, "name": "emu"}],
    "images": [
        {"id": 5_000_000_001, "file_name": "a.png", "width": 60, "height": 40},
        {"id": 7, "file_name": "sub/b.png", "width": 50, "height": 50},
        {"id": 9, "file_name": "c.png", "width": 20, "height": 100},
    ],
    "annotations": [
        {"id": 11, "image_id": 7, "category_id": 17, "bbox": [1, 2, 10, 20], "area": 150},
        {"id": 12, "image_id": 5_000_000_001, "category_id": 90, "bbox": [30.5, 4, 50, 6], "area": 9, "iscrowd": 0},
        {"id": 13, "image_id": 7, "category_id": 3, "bbox": [0, 0, 50, 50], "area": 2500, "iscrowd": 1},
        {"id": 14, "image_id": 7, "category_id": 90, "bbox": [5, 6, 7, 8], "area": 56, "iscrowd": 0},
    ],
}


def write(folder, content):
    (folder / "sub").mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    for image in CONTENT["images"]:
        pixels = random.integers(0, 255, (image["height"], image["width"], 3), np.uint8)
        cv2.imwrite(str(folder / image["file_name"]), pixels)
    (folder / "a.json").write_text(json.dumps(content))
    return str(folder), str(folder / "a.json")


@pytest.fixture
def content():
    return copy.deepcopy(CONTENT)


def test_ids_with_gaps_and_order(tmp_path, content):
    dataset = CocoFolder(*write(tmp_path, content))
    assert dataset.category_ids == (3, 17, 90)
    assert dataset.class_names == ("dog", "emu", "cat")
    first, second, third = dataset.records
    assert [r.id for r in dataset.records] == [5_000_000_001, 7, 9]
    np.testing.assert_array_equal(second.labels, [1, 0, 2])  # in the file's order
    np.testing.assert_array_equal(second.crowd, [False, True, False])
    np.testing.assert_array_equal(second.boxes, [[1, 2, 11, 22], [0, 0, 50, 50], [5, 6, 12, 14]])
    np.testing.assert_array_equal(first.boxes, [[30.5, 4, 80.5, 10]])  # not clipped to the 60 pixels
    assert first.boxes.dtype == np.float32
    assert third.boxes.shape == (0, 4)


def test_pixels_are_rgb(tmp_path, content):
    folder, file = write(tmp_path, content)
    dataset = CocoFolder(folder, file)
    np.testing.assert_array_equal(dataset.read(1), cv2.imread(folder + "/sub/b.png")[..., ::-1])


def test_ground_truth_is_what_is_trained_on(tmp_path, content):
    content["annotations"][0]["bbox"] = [1, 2, 0.5, 20]  # left out
    content["annotations"][1]["ignore"] = 1  # kept, as what may be missed
    dataset = CocoFolder(*write(tmp_path, content))
    truth = dataset.ground_truth()
    assert [a["id"] for a in truth["annotations"]] == [12, 13, 14]
    assert [a["ignore"] for a in truth["annotations"]] == [1, 0, 0]
    assert [len(record.boxes) for record in dataset.records] == [0, 2, 0]
    assert (truth["images"], truth["categories"]) == (content["images"], content["categories"])


def test_training_positions(tmp_path, content):
    content["annotations"] = [content["annotations"][1], content["annotations"][2]]  # image 7 keeps only its crowd
    dataset = CocoFolder(*write(tmp_path, content))
    np.testing.assert_array_equal(training_positions(dataset, filter_empty=True), [0])
    np.testing.assert_array_equal(training_positions(dataset, filter_empty=False), [0, 1])  # c.png is 20 wide


@pytest.mark.parametrize("filter_empty", [True, False])
def test_without_any_object_there_is_nothing_to_train_on(tmp_path, content, filter_empty):
    content["annotations"] = content["annotations"][2:3]  # a crowd
    dataset = CocoFolder(*write(tmp_path, content))
    with pytest.raises(InputError, match=r"none of the 3 training pictures has an object .*: check config"):
        make_plan(dataset, DataOptions(filter_empty=filter_empty), batch_size=1, seed=0)


def test_no_annotations_is_a_data_set(tmp_path, content):
    content["annotations"] = []
    dataset = CocoFolder(*write(tmp_path, content))
    assert [len(r.boxes) for r in dataset.records] == [0, 0, 0]


DEGENERATE = {
    "marked 'ignore'": {"ignore": 1},
    "less than 1 pixel wide or high": {"bbox": [3, 3, 0.9, 5]},
    "outside their picture": {"bbox": [50, 3, 5, 5]},
    "with an area of 0 or less": {"area": 0},
}


@pytest.mark.parametrize("reason", DEGENERATE)
def test_degenerate_boxes_are_left_out_and_named(tmp_path, content, caplog, reason):
    content["annotations"][0] |= DEGENERATE[reason]
    with caplog.at_level(logging.WARNING):
        dataset = CocoFolder(*write(tmp_path, content))
    np.testing.assert_array_equal(dataset.records[1].labels, [0, 2])
    assert f"left out 1 boxes {reason}, of training and of the AP: annotation ids 11" in caplog.text
    assert len(caplog.records) == 1


@pytest.mark.parametrize("reason", [r for r in DEGENERATE if "ignore" not in r])
def test_strict(tmp_path, content, reason):
    content["annotations"][3] |= DEGENERATE[reason]
    with pytest.raises(InputError, match=f"1 boxes {reason}: annotation ids 14.*strict"):
        CocoFolder(*write(tmp_path, content), strict=True)


def test_strict_respects_ignore_and_borders(tmp_path, content):
    content["annotations"][0] |= {"ignore": 1}
    content["annotations"][3] |= {"bbox": [-5, 49, 6, 1]}
    dataset = CocoFolder(*write(tmp_path, content), strict=True)
    assert len(dataset.records[1].boxes) == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.png", r"1 of 3 pictures are not in .*: gone.png. Check config.data.train"),
        ("no/such.png", r"1 of 3 pictures are not in .*: no/such.png"),
        ("sub\\b.png", r"1 of 3 pictures .*There is 'sub/b\.png': write /"),
    ],
)
def test_a_missing_picture_is_named(tmp_path, content, name, message):
    content["images"][2]["file_name"] = name
    with pytest.raises(InputError, match=message):
        CocoFolder(*write(tmp_path, content))


def test_bad_paths_are_named(tmp_path, content):
    folder, file = write(tmp_path, content)
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.data\.val\.images is empty"):
        CocoFolder("", file, key="config.data.val")
    with pytest.raises(InputError, match=r"config\.data\.train\.annotations is empty"):
        CocoFolder(folder, "")
    with pytest.raises(InputError, match=r"none\.json not found: check config\.data\.train\.annotations"):
        CocoFolder(folder, file.replace("a.json", "none.json"))
    with pytest.raises(InputError, match=r"not found, nor is its folder .*absent there: check config\.data\.train"):
        CocoFolder(folder, str(tmp_path / "absent/train.json"))
    with pytest.raises(InputError, match=r"bad\.json is not JSON"):
        CocoFolder(folder, file.replace("a.json", "bad.json"))
    with pytest.raises(InputError, match=r"images folder .*elsewhere not found: check config\.data\.train\.images"):
        CocoFolder(folder + "/elsewhere", file)


def test_recorded_size_must_be_the_pictures(tmp_path, content):
    content["images"][0] |= {"width": 40, "height": 60}
    dataset = CocoFolder(*write(tmp_path, content))
    with pytest.raises(InputError, match=r"a\.png is 60x40 pixels .*EXIF.* 40x60 for image id 5000000001"):
        dataset.read(0)


def test_classes_of_train_and_val_must_agree(tmp_path, content):
    folder, file = write(tmp_path, content)
    content["categories"][0]["name"] = "lynx"
    (tmp_path / "val.json").write_text(json.dumps(content))
    options = DataOptions(
        train=FolderOptions(images=folder, annotations=file),
        val=FolderOptions(images=folder, annotations=str(tmp_path / "val.json")),
    )
    with pytest.raises(InputError, match=r"disagree about the categories with ids \[90\]"):
        open_datasets(options)
    assert open_dataset(options, "val").class_names[2] == "lynx"


def test_only_test_pictures_need_no_annotations(tmp_path, content):
    del content["annotations"]
    folder = FolderOptions(*write(tmp_path, content))
    dataset = open_test(DataOptions(test=folder))
    assert [record.id for record in dataset.records] == [5_000_000_001, 7, 9]
    assert not sum(len(record.boxes) for record in dataset.records)
    assert dataset.category_ids == (3, 17, 90)
    for split in ("train", "val"):
        with pytest.raises(InputError, match=r"a\.json has no list 'annotations'"):
            open_dataset(DataOptions(**{split: folder}), split)
    with pytest.raises(InputError, match=r"config\.data\.test\.annotations is empty"):
        open_test(DataOptions(test=FolderOptions(images=folder.images)))
    with pytest.raises(InputError, match="'synthetic', which has no test-dev; sources with it: 'coco', 'tfds'"):
        open_test(DataOptions(source="synthetic"))


def test_real_coco_opens(shared):
    coco = shared / "data/coco"
    train = FolderOptions(str(coco / "train2017"), str(coco / "annotations/instances_train2017.json"))
    val = FolderOptions(str(coco / "val2017"), str(coco / "annotations/instances_val2017.json"))
    train_set, val_set = open_datasets(DataOptions(train=train, val=val))
    assert (len(train_set.records), len(val_set.records)) == (73, 41)
    assert train_set.category_ids[-1] == 90
    assert train_set.class_names[-1] == "toothbrush"
    assert any(record.crowd.any() for record in val_set.records)
    for dataset in (train_set, val_set):
        for position in range(0, len(dataset.records), 8):
            record = dataset.records[position]
            assert dataset.read(position).shape == (record.height, record.width, 3)


def test_real_cells_open(shared):
    cells = shared / "data/bccd"
    options = DataOptions(
        train=FolderOptions(str(cells / "train"), str(cells / "train.json")),
        val=FolderOptions(str(cells / "val"), str(cells / "val.json")),
    )
    train_set, val_set = open_datasets(options)
    assert train_set.class_names == ("RBC", "WBC", "Platelets")
    assert (len(train_set.records), len(val_set.records)) == (292, 72)
    # 3941 annotations; whatever is missing here was filtered
    assert 3900 < sum(len(record.boxes) for record in train_set.records) <= 3941
    assert val_set.read(0).shape == (480, 640, 3)
