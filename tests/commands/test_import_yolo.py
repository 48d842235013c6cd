"""YOLO: what is imported equals what was exported, and one clear message for each thing that can be wrong."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from lad_jax.commands.importing.options import ImportOptions
from lad_jax.commands.importing.yolo import import_yolo
from lad_jax.data.class_names import read_class_names
from lad_jax.data.coco import CocoFolder
from lad_jax.errors import InputError
from tests.commands.other_formats import LAYOUTS, NAMES, make_content, write_pictures, write_yolo
from tests.data.test_pictures import with_orientation


def run(folder, **options):
    import_yolo(replace(ImportOptions(folder, folder), **options))


def load(path):
    return json.loads(path.read_text())


@pytest.fixture
def contents():
    return {split: make_content(split) for split in ("train", "val")}


@pytest.fixture
def folder(tmp_path, contents):
    for split, content in contents.items():
        write_yolo(tmp_path / "images" / split, tmp_path / "labels" / split, content)
    (tmp_path / "data.yaml").write_text(f"train: ../images/train\nnames: {json.dumps(NAMES)}\n")
    return tmp_path


@pytest.fixture
def one(folder):
    return folder / "labels/train/train 1.txt"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_round_trip(tmp_path, contents, layout):
    pictures, labels = LAYOUTS[layout]
    names = {"train": "train", "val": "valid" if layout == "roboflow" else "val"}
    for split, content in contents.items():
        write_yolo(
            tmp_path / pictures.format(split=names[split]), tmp_path / labels.format(split=names[split]), content
        )
    (tmp_path / "classes.txt").write_text("\n".join(NAMES))
    run(tmp_path)
    assert sorted(p.name for p in tmp_path.glob("*.json")) == ["train.json", "val.json"]
    for split, content in contents.items():
        found = load(tmp_path / f"{split}.json")
        assert found["categories"] == content["categories"]
        prefix = pictures.format(split=names[split]) + "/"
        images = [image | {"file_name": prefix + image["file_name"]} for image in content["images"]]
        assert found["images"] == images
        for mine, theirs in zip(found["annotations"], content["annotations"], strict=True):
            assert mine["bbox"] == pytest.approx(theirs["bbox"], abs=0.02)
            assert mine["area"] == pytest.approx(math.prod(mine["bbox"][2:]), abs=0.01)
            assert (mine["id"], mine["iscrowd"]) == (theirs["id"], 0)
            assert [mine[k] for k in ("image_id", "category_id")] == [theirs[k] for k in ("image_id", "category_id")]


def test_records_equal_the_originals(folder, contents):
    run(folder)
    write_pictures(folder / "plain", contents["val"])
    (folder / "plain.json").write_text(json.dumps(contents["val"]))
    ours = CocoFolder(str(folder), str(folder / "val.json"))
    original = CocoFolder(str(folder / "plain"), str(folder / "plain.json"))
    assert ours.class_names == original.class_names == NAMES
    for position, (mine, theirs) in enumerate(zip(ours.records, original.records, strict=True)):
        np.testing.assert_allclose(mine.boxes, theirs.boxes, atol=0.02)
        np.testing.assert_array_equal(mine.labels, theirs.labels)
        np.testing.assert_array_equal(ours.read(position), original.read(position))


def test_a_share_of_one_folder(tmp_path, contents):
    """As LabelImg writes it: all in one folder, `classes.txt` too."""
    write_yolo(tmp_path, tmp_path, contents["train"])
    (tmp_path / "classes.txt").write_text("\n".join(NAMES))
    run(tmp_path, val_share=0.25)
    files = [[i["file_name"] for i in load(tmp_path / f"{split}.json")["images"]] for split in ("train", "val")]
    assert list(map(len, files)) == [3, 1]
    assert sorted(files[0] + files[1]) == [image["file_name"] for image in contents["train"]["images"]]


def test_shares_are_of_the_turned_picture(folder, one):
    one.write_text("1 0.25 0.5 0.5 0.5\n")
    with_orientation(folder / "images/train/train 1.jpg", 6)
    run(folder)
    content = load(folder / "train.json")
    image, box = content["images"][0], content["annotations"][0]["bbox"]
    assert [image["height"], image["width"]] == [make_content("train")["images"][0][k] for k in ("width", "height")]
    w, h = image["width"], image["height"]
    assert box == pytest.approx([0, h / 4, w / 2, h / 2], abs=0.01)


NAME_FILES = {
    "a.yaml": "nc: 3\nnames:\n  1: no\n  0: 'two words'\n  2: 7\n",
    "a.yml": "names: [two words, no, 7]",
    "a.txt": "\ufefftwo words\r\n no \r\n7\r\n\r\n",
    "a.names": "two words\nno\n7",
    "a.json": '{"categories": [{"id": 9, "name": "7"}, {"id": 1, "name": "two words"}, {"id": 5, "name": "no"}]}',
}


@pytest.mark.parametrize("name", NAME_FILES)
def test_class_names(tmp_path, name):
    (tmp_path / name).write_text(NAME_FILES[name], encoding="utf-8")
    assert read_class_names(tmp_path / name) == ("two words", "no", "7")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "", "a.txt has no names"),
        ("a.txt", "cat\n\ndog", "has an empty name"),
        ("a.txt", "cat\ndog\ncat", "has names twice: cat"),
        ("a.txt", "cat\ndog\x1b[2J", r"has names with control characters: 'dog\\x1b"),
        ("a.yaml", "names: {0: cat, 2: dog}", "number them from 0 without gaps"),
        ("a.yaml", "names: cat", "`names` must be a list of names"),
        ("a.yaml", "train: x", "`names` must be a list of names"),
        ("a.yaml", "names: {0: cat, 1: dog, 1: bird, 2: fox}", "cannot read class names from .*a.yaml: 1 twice"),
        ("a.yaml", "names: [cat]\nnames: [dog]", "cannot read class names from .*a.yaml: names twice"),
        ("a.yaml", "names: [cat", "cannot read class names from .*a.yaml"),
        ("a.json", "{", "cannot read class names from .*a.json"),
        ("a.json", "[]", "`categories` must be a list"),
        ("a.json", '{"categories": [{"id": 1, "name": 5}]}', "`categories` must be a list"),
        ("none.txt", None, "cannot read class names from .*none.txt"),
    ],
)
def test_bad_class_names(tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_class_names(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 0.5 0.5 0.1\n", "line 1 is '0 0.5 0.5 0.1'; it must be 5 numbers"),
        ("0 0.1 0.1 0.2 0.2 0.2 0.1\n", r"line 1 is .*no polygon"),
        ("0 .5 .5 .1 .1\n\n0 .5 .5 .1 x\n", "line 3 is '0 .5 .5 .1 x'"),
        ("0 nan .5 .1 .1\n", "line 1 is '0 nan"),
        ("3 .5 .5 .1 .1\n", "line 1: class 3, but there are 3 classes, 0 to 2"),
        ("-1 .5 .5 .1 .1\n", "line 1: class -1, but"),
        ("0.5 .5 .5 .1 .1\n", "line 1: class 0.5, but"),
        ("0 20 30 10 10\n", "must be shares of the picture's sides, 0 to 1, not pixels"),
        ("0 .5 .5 0 .1\n", r"line 1 \(zebra\): the box .*has no area"),
        ("0 1.5 .5 .1 .1\n", r"line 1 \(zebra\): the box .*lies outside its picture"),
    ],
)
def test_bad_line_is_named(folder, one, text, message):
    one.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        run(folder)
    assert str(one) in str(error.value)
    assert not list(folder.glob("*.json"))


def test_bad_folders_are_named(folder, one, tmp_path):
    picture = folder / "images/train/train 1.jpg"
    data = picture.read_bytes()
    picture.write_bytes(data[:100])
    with pytest.raises(InputError, match=r"train 1\.jpg is cut off"):
        run(folder)
    picture.unlink()
    with pytest.raises(InputError, match=r"labels/train: without a picture in .*images/train: train 1\.txt"):
        run(folder)
    picture.write_bytes(data)
    picture.with_suffix(".png").write_bytes(data)
    with pytest.raises(InputError, match="names differ in the suffix alone: train 1"):
        run(folder)
    picture.with_suffix(".png").rename(folder / "images/loose.png")
    with pytest.raises(InputError, match=r"not read: .*/images \(1\)\. Move them to .*/train, .*/val, or"):
        run(folder)
    (folder / "images/loose.png").unlink()
    (folder / "data.yaml").rename(folder / "other.yaml")
    with pytest.raises(InputError, match=r"no class names in .*data\.yaml.*give their file by --classes"):
        run(folder)
    for path in folder.glob("labels/*/*.txt"):
        path.write_text("")
    with pytest.raises(InputError, match="no object is annotated in"):
        run(folder, classes=folder / "other.yaml")
    for path in folder.glob("images/*/*"):
        path.unlink()
    with pytest.raises(InputError, match=r"no picture \(\.jpg.*\) in .*images/train, .*images/val"):
        run(folder, classes=folder / "other.yaml")


def test_a_split_without_annotations_is_not_taken_for_background(folder):
    (folder / "labels/val").rename(folder / "labels/valid")
    with pytest.raises(
        InputError, match=r"labels/val has no text file for the 4 pictures of .*images/val: add them, r"
    ):
        run(folder)
    run(folder, splits=("train",))
    assert [path.name for path in folder.glob("*.json")] == ["train.json"]


@pytest.mark.parametrize("place", ["images/extra", "images/train/cam2"])
def test_pictures_in_a_folder_that_is_not_read_are_named(folder, place):
    write_pictures(folder / place, make_content("extra", 3))
    with pytest.raises(InputError, match=rf"that are not read: .*{place} \(3\)\. Move them to .*images/train"):
        run(folder)


def test_pictures_in_hidden_folders_are_no_matter(folder):
    write_pictures(folder / "images/train/.cache", make_content("extra", 3))
    run(folder)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_folders_of_a_split_are_named(tmp_path, contents, layout):
    pictures, labels = LAYOUTS[layout]
    for name in ("train", "val", "valid"):
        write_yolo(
            tmp_path / pictures.format(split=name),
            tmp_path / labels.format(split=name),
            contents["val" if name != "train" else "train"],
        )
    (tmp_path / "classes.txt").write_text("\n".join(NAMES))
    with pytest.raises(InputError, match=r"has 2 folders of the split val: .*val, .*valid\. Leave one"):
        run(tmp_path)


def test_nothing_is_overwritten(folder):
    run(folder, splits=("val",))
    before = (folder / "val.json").read_text()
    with pytest.raises(InputError, match=r"val\.json exists"):
        run(folder)
    assert (folder / "val.json").read_text() == before and not (folder / "train.json").exists()
