"""Pascal VOC: what is imported equals what was exported, and one clear message for each thing that can be wrong."""

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lad_jax.commands.importing.options import ImportOptions
from lad_jax.commands.importing.voc import import_voc
from lad_jax.commands.importing.write import stop_if
from lad_jax.data.coco import CocoFolder
from lad_jax.errors import InputError
from tests.commands.other_formats import NAMES, make_content, write_pictures, write_voc
from tests.data.test_pictures import with_orientation

SORTED = tuple(sorted(NAMES))


def run(folder, coordinates="voc", keep_difficult=False, **options):
    import_voc(
        replace(ImportOptions(folder, folder), **options), coordinates=coordinates, keep_difficult=keep_difficult
    )


def load(path):
    return json.loads(path.read_text())


def plain(content, names, prefix=""):
    """What a COCO file says, without its numbering: objects by picture, in order."""
    name = {c["id"]: c["name"] for c in content["categories"]}
    assert set(name.values()) == set(names)
    return {
        (prefix + image["file_name"], image["width"], image["height"]): [
            (name[a["category_id"]], a["bbox"], a["area"], a["iscrowd"])
            for a in content["annotations"]
            if a["image_id"] == image["id"]
        ]
        for image in content["images"]
    }


@pytest.fixture
def contents():
    return {split: make_content(split) for split in ("train", "val")}


@pytest.fixture
def folder(tmp_path, contents):
    """In VOC's own layout, with lists, one of them by class."""
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for split, content in contents.items():
        write_voc(tmp_path / "JPEGImages", tmp_path / "Annotations", content)
        stems = [Path(image["file_name"]).stem for image in content["images"]]
        (lists / f"{split}.txt").write_text("".join(f"{stem}\n" for stem in [*reversed(stems), stems[0]]))
    (lists / "zebra_train.txt").write_text("train 1 -1\n")
    return tmp_path


@pytest.fixture
def one(tmp_path):
    """A picture with its XML file beside it, of which tests change a word."""
    content = make_content("train", 3)
    write_voc(tmp_path, tmp_path, content)
    return tmp_path / "train 1.xml"


def test_round_trip(folder, contents):
    run(folder)
    assert sorted(p.name for p in folder.glob("*.json")) == ["train.json", "val.json"]
    for split, content in contents.items():
        found = load(folder / f"{split}.json")
        assert plain(found, NAMES) == plain(content, NAMES, "JPEGImages/")
        assert [(c["id"], c["name"]) for c in found["categories"]] == list(enumerate(SORTED, start=1))
        assert [image["id"] for image in found["images"]] == [1, 2, 3, 4]
        files = [image["file_name"] for image in found["images"]]
        assert files == sorted(files)
    assert not any(a["category_id"] == 3 for a in load(folder / "val.json")["annotations"]), "no zebra, but listed"


def test_records_equal_the_originals(folder, contents):
    run(folder)
    write_pictures(folder / "plain", contents["train"])
    (folder / "plain.json").write_text(json.dumps(contents["train"]))
    ours = CocoFolder(str(folder), str(folder / "train.json"))
    original = CocoFolder(str(folder / "plain"), str(folder / "plain.json"))
    for position, (mine, theirs) in enumerate(zip(ours.records, original.records, strict=True)):
        np.testing.assert_array_equal(mine.boxes, theirs.boxes)
        np.testing.assert_array_equal(mine.crowd, theirs.crowd)
        assert [ours.class_names[i] for i in mine.labels] == [original.class_names[i] for i in theirs.labels]
        np.testing.assert_array_equal(ours.read(position), original.read(position))


@pytest.mark.parametrize(
    ("pictures", "annotations", "names"),
    [
        ("{}", "{}", ("train", "valid", "test")),
        ("images/{}", "annotations/{}", ("train", "val", "test")),
        ("{}/JPEGImages", "{}/Annotations", ("train", "validation", "test")),
    ],
)
def test_splits_as_folders(tmp_path, contents, pictures, annotations, names):
    for name, content in zip(names[:2], contents.values(), strict=True):
        write_voc(tmp_path / pictures.format(name), tmp_path / annotations.format(name), content)
    run(tmp_path, output=tmp_path / "out")
    for name, (split, content) in zip(names[:2], contents.items(), strict=True):
        expected = plain(content, NAMES, pictures.format(name) + "/")
        assert plain(load(tmp_path / "out" / f"{split}.json"), NAMES) == expected


def test_a_share_is_drawn_by_name(tmp_path, contents):
    """XML files beside the pictures: every picture once, the same ones in any folder and order."""
    write_voc(tmp_path / "a", tmp_path / "a", contents["train"])
    write_voc(tmp_path / "b/images", tmp_path / "b/annotations", contents["train"])
    drawn = []
    for name in ("a", "b"):
        run(tmp_path / name, val_share=0.25)
        files = [
            sorted(Path(image["file_name"]).name for image in load(tmp_path / name / f"{split}.json")["images"])
            for split in ("train", "val")
        ]
        assert [len(part) for part in files] == [3, 1]
        assert sorted(files[0] + files[1]) == [image["file_name"] for image in contents["train"]["images"]]
        drawn.append(files)
    assert drawn[0] == drawn[1]


def test_edges_are_taken_as_they_are(folder, contents):
    run(folder, output=folder / "voc")
    run(folder, coordinates="edges", output=folder / "edges")
    voc, edges = (load(folder / kind / "train.json")["annotations"] for kind in ("voc", "edges"))
    for a, b in zip(voc, edges, strict=True):
        x, y, w, h = a["bbox"]
        assert b["bbox"] == [x + 1, y + 1, w - 1, h - 1]


def test_difficult_objects_can_be_kept(folder):
    run(folder, output=folder / "default")
    run(folder, keep_difficult=True, output=folder / "kept")
    assert sum(a["iscrowd"] for a in load(folder / "default/train.json")["annotations"]) > 0
    assert sum(a["iscrowd"] for a in load(folder / "kept/train.json")["annotations"]) == 0


@pytest.mark.parametrize(("word", "crowd"), [("true", 1), ("1.0", 1), ("", 0), ("False", 0)])
def test_difficult_is_read_by_any_plain_spelling(one, tmp_path, word, crowd):
    one.write_text(_edit(one, "difficult", word))
    run(tmp_path, val_share=0.4)
    contents = [load(tmp_path / f"{split}.json") for split in ("train", "val")]
    [content] = [c for c in contents if any(i["file_name"] == "train 1.jpg" for i in c["images"])]
    assert content["images"][0]["file_name"] == "train 1.jpg" and content["annotations"][0]["iscrowd"] == crowd


def test_pictures_without_a_file_are_said_to_be_left_out(one, tmp_path, caplog):
    (tmp_path / "train 3.xml").unlink()
    run(tmp_path, val_share=0.5)
    assert f"{tmp_path}: left out 1 pictures without an XML file: train 3.jpg. One without objects needs" in caplog.text


def test_a_split_without_a_file_is_named(tmp_path, contents):
    for name, content in contents.items():
        write_voc(tmp_path / name, tmp_path / name, content)
    for path in (tmp_path / "val").glob("*.xml"):
        path.unlink()
    with pytest.raises(InputError, match=r"val has no XML file for the 4 pictures of .*val: add them, rename the fol"):
        run(tmp_path)
    run(tmp_path, splits=("train",))


def test_pictures_of_both_lists_are_named(folder, caplog):
    lists = folder / "ImageSets/Main"
    (lists / "val.txt").write_text((lists / "val.txt").read_text() + "train 1\n")
    run(folder)
    assert "1 pictures are in train and in val: train 1.jpg" in caplog.text


def test_classes_in_a_given_order(folder, tmp_path):
    """One split after the other, the second with the classes of the first."""
    (tmp_path / "names.txt").write_text("zebra\nyak\ncrab claw\nant\n\n")
    run(folder, splits=("train",), classes=tmp_path / "names.txt")
    run(folder, splits=("val",), classes=folder / "train.json")
    for split in ("train", "val"):
        names = [c["name"] for c in load(folder / f"{split}.json")["categories"]]
        assert names == ["zebra", "yak", "crab claw", "ant"]


def test_a_turned_picture(one, tmp_path):
    """The boxes fit the picture as it is seen; a size noted before it was turned is an error."""
    text = one.read_text()
    size = "<width>{}</width><height>{}</height>"
    image = make_content("train", 3)["images"][0]
    upright = size.format(image["height"], image["width"])
    with_orientation(tmp_path / "train 1.jpg", 6)
    with pytest.raises(InputError, match=r"train 1\.xml is for a picture of .* after turning it as its EXIF"):
        run(tmp_path, val_share=0.4)
    one.write_text(text.replace(size.format(image["width"], image["height"]), upright))
    run(tmp_path, val_share=0.4, on_bad_box="skip")
    for split in ("train", "val"):
        dataset = CocoFolder(str(tmp_path), str(tmp_path / f"{split}.json"))
        for position in range(len(dataset.records)):
            dataset.read(position)  # of the recorded size, or an error


def test_the_name_in_the_file_decides_where_stems_do_not(one, tmp_path):
    (tmp_path / "train 1.jpg").rename(tmp_path / "photo.jpg")
    one.write_text(one.read_text().replace("train 1.jpg", "photo.jpg").replace("<size>", "<size><width>0</width>"))
    run(tmp_path, val_share=0.4)
    files = {i["file_name"] for split in ("train", "val") for i in load(tmp_path / f"{split}.json")["images"]}
    assert files == {"photo.jpg", "train 2.png", "train 3.jpg"}


def test_boxes_beyond_the_picture_are_clipped(one, tmp_path, caplog):
    one.write_text(_edit(one, "xmax", "1000"))
    with caplog.at_level(logging.WARNING):
        run(tmp_path, val_share=0.4)
    assert f"clipped 1 boxes that reach beyond their picture, the first: {one}, object 1 (" in caplog.text
    contents = [load(tmp_path / f"{split}.json") for split in ("train", "val")]
    [content] = [c for c in contents if any(i["file_name"] == "train 1.jpg" for i in c["images"])]
    [image] = [i for i in content["images"] if i["file_name"] == "train 1.jpg"]
    x, _, w, _ = next(a["bbox"] for a in content["annotations"] if a["image_id"] == image["id"])
    assert x + w == image["width"]


def _edit(path, tag, value):
    """The file with the first element of that tag changed."""
    head, rest = path.read_text().split(f"<{tag}>", 1)
    return f"{head}<{tag}>{value}</{tag}>{rest.split(f'</{tag}>', 1)[1]}"


BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><annotation>&c;</annotation>'


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.write_text(p.read_text()[:90]), "is not readable XML: (no element|unclosed)"),
        (lambda p: p.write_text(BOMB), "is not readable XML: it has a DOCTYPE"),
        (lambda p: p.write_bytes(BOMB.encode("utf-16")), "is not readable XML: it has a DOCTYPE"),
        (lambda p: p.write_text("<html></html>"), "outermost element is <html>, not <annotation>"),
        (lambda p: p.write_text(_edit(p, "name", "")), "object 1 has no name"),
        (
            lambda p: p.write_text(_edit(p, "ymin", "one")),
            r"object 1 \(.*\): bndbox/ymin is 'one'; it must be a number",
        ),
        (lambda p: p.write_text(p.read_text().replace("bndbox", "robndbox")), r"object 1 \(.*\): bndbox/xmin is ''"),
        (lambda p: p.write_text(_edit(p, "difficult", "maybe")), "difficult is 'maybe'; it must be 0 or 1"),
        (lambda p: p.write_text(_edit(p, "xmin", "nan")), "bndbox/xmin is 'nan'; it must be a number"),
        (lambda p: p.write_text(_edit(p, "xmin", "0")), "VOC counts pixels from 1.*--coordinates=edges"),
        (lambda p: p.write_text(_edit(p, "xmax", "0")), "object 1 .*has no area.*Correct it.*on_bad_box=skip"),
        (
            lambda p: p.write_text(_edit(p, "xmin", "500").replace("<xmax>", "<xmax>9")),
            "object 1 .*lies outside its picture .a picture of",
        ),
        (lambda p: p.write_text(_edit(p, "width", "333")), "is for a picture of 333x.*correct one of them"),
        (
            lambda p: p.with_suffix(".jpg").unlink(),
            "0 pictures found for it; there must be one, 'train 1' with .jpg,.* or 'train 1.jpg'",
        ),
        (lambda p: p.with_suffix(".jpg").write_bytes(b"no"), r"cannot decode picture .*train 1\.jpg"),
        (
            lambda p: p.with_name("x.xml").write_bytes(p.read_bytes()),
            "train 1.jpg has 2 annotation files, .*train 1.xml, .*x.xml",
        ),
    ],
)
def test_bad_file_is_named(one, tmp_path, change, message):
    change(one)
    with pytest.raises(InputError, match=message) as error:
        run(tmp_path, val_share=0.4)
    assert "train 1" in str(error.value)
    assert not list(tmp_path.glob("*.json"))


def test_a_file_name_cannot_leave_the_folder(one, tmp_path):
    inner = tmp_path / "inner"
    write_voc(inner, inner, make_content("val", 3))
    one.write_text(_edit(one, "filename", "../train 1.jpg"))
    one.rename(inner / "x.xml")
    with pytest.raises(InputError, match=r"0 pictures found for it; .* or '\.\./train 1\.jpg'"):
        run(inner, val_share=0.4)


def test_many_problems_are_counted(one, tmp_path):
    for path in tmp_path.glob("*.xml"):
        path.write_text("<html></html>")
    with pytest.raises(InputError, match=r"3 problems, nothing was written:\n(.*train \d.*html.*\n?){3}"):
        run(tmp_path, val_share=0.4)


def test_the_first_five_problems_are_shown():
    with pytest.raises(InputError) as error:
        stop_if([f"problem {number}" for number in range(7)])
    shown = [f"  problem {number}" for number in range(5)]
    assert str(error.value).splitlines() == ["7 problems, nothing was written:", *shown, "  … (7 in all)"]


def test_bad_boxes_can_be_skipped(one, tmp_path, caplog):
    one.write_text(_edit(one, "xmax", "0"))
    before = sum(path.read_text().count("<object>") for path in tmp_path.glob("*.xml"))
    with caplog.at_level(logging.WARNING):
        run(tmp_path, val_share=0.4, on_bad_box="skip")
    assert "left out: " in caplog.text and "object 1 (" in caplog.text
    assert sum(len(load(p)["annotations"]) for p in tmp_path.glob("*.json")) == before - 1


def test_bad_folders_and_options_are_named(folder, tmp_path):
    with pytest.raises(InputError, match=r"has splits of its own \(train, val\): leave out --val_share"):
        run(folder, val_share=0.2)
    with pytest.raises(InputError, match="has no split tset, but train: correct --splits"):
        run(folder, splits=("train", "tset"))
    with pytest.raises(InputError, match=r"zebra_train\.txt: without an annotation file: train 1 -1"):
        run(folder, splits=("zebra_train",))
    (tmp_path / "names.txt").write_text("ant\nzebra\n")
    with pytest.raises(InputError, match=r"object \d \(crab claw\): class 'crab claw' is none of ant, zebra"):
        run(folder, classes=tmp_path / "names.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no XML file in .*empty: is .*empty VOC's"):
        run(tmp_path / "empty", val_share=0.2)
    write_voc(tmp_path / "flat", tmp_path / "flat", make_content("train", 3))
    with pytest.raises(InputError, match=r"has no splits: give --val_share=0\.2"):
        run(tmp_path / "flat")
    with pytest.raises(InputError, match="leaves a split without pictures"):
        run(tmp_path / "flat", val_share=0.01)
    for path in (tmp_path / "flat").glob("*.xml"):
        path.write_text("<annotation></annotation>")
    with pytest.raises(InputError, match=r"no object is annotated in .*flat"):
        run(tmp_path / "flat", val_share=0.4)


def test_nothing_is_overwritten(folder):
    (folder / "val.json").write_text("mine")
    with pytest.raises(InputError, match=r"val\.json exists: remove it, or choose another folder by --output"):
        run(folder)
    assert (folder / "val.json").read_text() == "mine" and not (folder / "train.json").exists()


def test_command_line_reports_errors_in_one_message(tmp_path):
    words = [sys.executable, "-m", "lad_jax", "import-voc", str(tmp_path / "none")]
    result = subprocess.run(words, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert result.returncode == 2
    assert result.stderr.strip() == f"error: give one folder that exists, not {tmp_path / 'none'}; see --help."
