"""A look before training: its numbers on a set small enough to count by hand, and what it draws and says."""

import json
import signal
import time

import numpy as np
import pytest
from PIL import Image

from lad_jax.commands.checking import program, report
from lad_jax.commands.checking.program import check
from lad_jax.commands.checking.sheet import SIDE, choose_pictures, draw_sheet
from lad_jax.commands.checking.summary import (
    AnchorFit,
    Canvases,
    Spread,
    evenly,
    fit_anchors,
    fit_canvases,
    object_sizes,
    resize_all,
    summarise,
)
from lad_jax.commands.checking.suspects import Suspect, find_suspects, find_turned, pictures_in_both, unreadable
from lad_jax.data import DataOptions, FolderOptions, Record, SyntheticOptions
from lad_jax.data.coco import CocoFolder
from lad_jax.ending import Interrupted
from lad_jax.errors import InputError
from lad_jax.visualize import colour
from tests.folder import write_coco_folder

OPTIONS = DataOptions(short_side=64, long_side=128, canvases=2)
NAMES = ("ant", "bee", "cow")


def record(name, width, height, boxes, labels, crowd=None):
    crowd = np.zeros(len(boxes), bool) if crowd is None else np.array(crowd)
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return Record(0, name, width, height, boxes, np.array(labels, np.int32), crowd)


RECORDS = [
    record("a", 100, 50, [[10, 10, 20, 30], [0, 0, 100, 50]], [0, 2], [False, True]),  # twice as large: 128x64
    record("b", 32, 64, [[0, 0, 8, 8], [4, 4, 36, 64], [1, 1, 9, 9]], [0, 0, 2]),  # 64 wide and 128 high
    record("c", 256, 16, [], []),  # half as large: 128x8
]
SIZES = [[64, 128], [128, 64], [8, 128]]


def test_counts():
    summary = summarise(RECORDS, 3)
    np.testing.assert_array_equal(summary.per_class, [3, 0, 1])
    assert (summary.pictures, summary.empty, summary.small, summary.crowds) == (3, 1, 1, 1)
    assert summary.per_picture == Spread(0, 1, 3)
    assert (summary.width, summary.height) == (Spread(32, 100, 256), Spread(16, 50, 64))


def test_sizes_are_those_after_resizing():
    np.testing.assert_array_equal(resize_all(RECORDS, OPTIONS), SIZES)
    np.testing.assert_allclose(object_sizes(RECORDS, OPTIONS), [[12.8, 25.6], [16, 16], [64, 120], [16, 16]])


def test_canvases_and_padding():
    """The picture of height 8 shares a canvas of height 64 with the first: 56 of its 64 rows are padding."""
    canvases = fit_canvases(np.array(SIZES), OPTIONS)
    assert dict(zip(canvases.sizes, canvases.pictures, strict=True)) == {(64, 128): 2, (128, 64): 1}
    assert dict(zip(canvases.sizes, canvases.padding, strict=True)) == {(64, 128): 56 / 128, (128, 64): 0}
    assert canvases.all_padding == pytest.approx(56 / 64 / 3)


def test_anchors():
    """Anchors of 16 and 64 pixels; IoU of the same centre."""
    sizes = np.array([[16, 16], [8, 16], [4, 4], [40, 40], [30, 30], [128, 128], [64, 5]], float)
    # The largest IoU: 1, 1/2, 1/16, 1600/4096, 256/900 (not 900/4096), 1/4, 80/496 (not 320/4096).
    fit = fit_anchors(sizes, (16.0, 64.0))
    np.testing.assert_array_equal(fit.per_level, [5, 2])
    assert (fit.smaller, fit.larger, fit.unmatched) == (2, 1, 1)
    np.testing.assert_array_equal(fit_anchors(np.zeros((0, 2)), (16.0, 64.0)).per_level, [0, 0])


def test_suspects():
    boxes = [[10, 10, 40, 40], [10.5, 10, 40, 40], [10, 10.9, 40, 40], [10, 10, 42, 40], [-3, 5, 20, 30]]
    boxes += [[60, 60, 63, 90], [0, 0, 99, 99], [70, 70, 99, 101]]
    labels = [0, 0, 1, 0, 1, 1, 2, 2]
    records = [record("x.jpg", 100, 100, [], []), record("y.jpg", 100, 100, boxes, labels)]
    records.append(record("z.jpg", 100, 100, [[0, 0, 100, 100]], [0], [True]))
    found = find_suspects(records, np.array([[100, 100]] * 3), NAMES)
    reasons = {}
    for suspect in found:
        assert suspect.position == 1
        reasons.setdefault(suspect.reason, []).append(suspect.text.removeprefix("y.jpg: "))
    assert reasons == {
        "less than 4 pixels wide or high after resizing": ["bee, (60, 60) to (63, 90)"],
        "reaching beyond the picture": ["bee, (-3, 5) to (20, 30)"],  # the last by one pixel: rounding
        "over the whole picture": ["cow, (0, 0) to (99, 99)"],
        "there twice": ["ant, (10.5, 10) to (40, 40)"],
        "of two classes at once": ["bee, (10, 10.9) to (40, 40)"],
    }
    enlarged = find_suspects(records, np.array([[200, 200]] * 3), NAMES)
    assert not any("4 pixels" in suspect.reason for suspect in enlarged)


def test_pictures_in_both():
    other = [RECORDS[1], RECORDS[0]._replace(file_name="d"), RECORDS[0]._replace(boxes=RECORDS[0].boxes + 1)]
    assert pictures_in_both(RECORDS, other) == ["b"]
    assert pictures_in_both([RECORDS[2]], [RECORDS[2]]) == [], "without boxes a name alone says nothing"


def test_samples():
    assert evenly(5, 8) == [0, 1, 2, 3, 4]
    assert evenly(9, 3) == [0, 4, 8]
    assert evenly(100, 1) == [0]
    suspects = [Suspect(7, "a", ""), Suspect(9, "a", ""), Suspect(3, "b", ""), Suspect(7, "c", "")]
    assert choose_pictures(10, suspects, 4) == [7, 3, 0, 9]
    assert choose_pictures(10, suspects, 1) == [7]
    assert choose_pictures(2, [], 4) == [0, 1]


def test_counts_side_by_side():
    text = report.format_counts({"train": summarise(RECORDS, 3), "val": summarise(RECORDS[:1], 3)}, NAMES)
    lines = {line[:30].strip(): line.split()[-2:] for line in text.splitlines()}
    assert lines["pictures"] == ["3", "1"] and lines["ant"] == ["3", "1"] and lines["bee"] == ["0", "0"]


def test_advice():
    fit = AnchorFit(per_level=np.array([90, 10]), smaller=20, larger=0, unmatched=6)
    text = report.format_anchors(fit, (8, 16), (64.0, 128.0))
    assert "P3, stride 8, anchor 64x64: 90 (90%)" in text and "IoU below 0.1 with any anchor: 6 (6%)" in text
    assert "! small objects" in text and "! large objects" not in text
    assert "!" not in report.format_anchors(fit._replace(unmatched=5), (8, 16), (64.0, 128.0))
    large = report.format_anchors(fit._replace(unmatched=0, larger=51), (8, 16), (64.0, 128.0))
    assert "! large objects" in large
    canvases = Canvases(((64, 96),), (10,), (0.11,), 0.11)
    assert "canvas 64x96: 10 pictures, 11.0% padding" in report.format_canvases(canvases, OPTIONS)
    assert "! much padding" in report.format_canvases(canvases, OPTIONS)
    assert "!" not in report.format_canvases(canvases._replace(all_padding=0.1), OPTIONS)


@pytest.fixture
def folder(tmp_path):
    """Nine pictures to train on, two to validate."""
    write_coco_folder(tmp_path, "train", [(96, 64)] * 9)
    write_coco_folder(tmp_path, "val", [(64, 96)] * 2)
    return tmp_path


def run(folder, decode=3, **changes):
    sides = {split: FolderOptions(str(folder / split), str(folder / f"{split}.json")) for split in ("train", "val")}
    options = DataOptions(**sides, short_side=64, long_side=96, **changes)
    check(options, strides=(8, 16), anchor_scale=4.0, most=100, decode=decode, sheet=folder / "out", pictures=5)


def test_the_sheet_shows_the_boxes(folder):
    """Each object is filled with red or green, and has a frame in the colour of its class."""
    dataset = CocoFolder(str(folder / "train"), str(folder / "train.json"))
    sheet = draw_sheet(dataset, [0, 4, 5, 6, 7])
    assert len(sheet) > 2 * SIDE and sheet.shape[1] > 4 * SIDE * 64 / 96
    wide = draw_sheet(dataset, [0])
    label = int(dataset.records[0].labels[0])
    frame = np.argwhere((wide == colour(label)).all(axis=-1))
    fill = {"red": (255, 0, 0), "green": (0, 255, 0)}[dataset.class_names[label]]
    inside = np.argwhere(np.abs(wide.astype(int) - fill).max(axis=-1) < 9)
    np.testing.assert_allclose(frame.max(axis=0), inside.max(axis=0), atol=4)
    assert (frame.min(axis=0) <= inside.min(axis=0) + 4).all()


def test_program(folder, capsys):
    run(folder)
    text = capsys.readouterr().out
    assert "train: 3 of 3 decoded pictures are sound" in text and "val: 2 of 2" in text
    assert "canvas 96x64: 9 pictures, 0.0% padding" in text
    assert "train: no suspicious boxes" in text
    assert (folder / "out/train.png").stat().st_size > 10_000 and (folder / "out/val.png").exists()


def test_doubts_are_lines_of_their_own(folder, capsys):
    content = json.loads((folder / "val.json").read_text())
    [box, *_] = content["annotations"]
    content["annotations"] = [{**box, "id": i, "area": 1, "bbox": [i % 30, i % 40, 20 + i % 9, 20]} for i in range(101)]
    (folder / "val.json").write_text(json.dumps(content))
    run(folder)
    lines = capsys.readouterr().out.splitlines()
    assert "! val: every area is 1, a placeholder: the boxes' own areas are taken" in lines
    [crowded] = [line for line in lines if "more than 100 objects" in line]
    assert crowded.startswith("! val: 1 pictures") and "config.evaluation.postprocess.max_detections" in crowded


def test_unreadable_pictures_are_listed(folder, capsys):
    for number in (2, 5):
        (folder / f"train/{number}.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"1 pictures cannot be read:\n.*5\.png"):
        run(folder)  # decodes the first, the middle one and the last
    with pytest.raises(InputError, match=r"2 pictures cannot be read:\n.*2\.png.*\n.*5\.png"):
        run(folder, decode=None)
    assert "train: 7 of 9 decoded pictures are sound" in capsys.readouterr().out


def test_a_sheet_is_drawn_of_the_readable_pictures(folder, capsys):
    """A picture that is only drawn, not among those decoded, may be unreadable too."""
    (folder / "train/1.png").write_bytes(b"no picture")
    (folder / "train/3.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"2 pictures cannot be read:\n.*1\.png.*\n.*3\.png"):
        run(folder, decode=2)
    text = capsys.readouterr().out
    assert "train: drawn pictures in" in text and "val: drawn pictures in" in text


@pytest.mark.parametrize("size", [(3000, 5), (5, 3000), (1, 1), (12000, 33)])
def test_thin_pictures_are_drawn(tmp_path, size):
    for split in ("train", "val"):
        write_coco_folder(tmp_path, split, [(96, 64), (64, 96)])
        content = json.loads((tmp_path / f"{split}.json").read_text())
        content["images"][1] |= {"width": size[0], "height": size[1]}
        for annotation in content["annotations"]:
            annotation["bbox"] = [0, 0, 1, 1]
        (tmp_path / f"{split}.json").write_text(json.dumps(content))
        name = tmp_path / split / content["images"][1]["file_name"]
        Image.new("RGB", size).save(name)
    run(tmp_path)
    assert (tmp_path / "out/train.png").stat().st_size > 500


def test_boxes_that_exif_may_have_turned(tmp_path, capsys):
    """Only where sizes do not show it: pictures turned upside down or mirrored, and square ones."""
    for split in ("train", "val"):
        write_coco_folder(tmp_path, split, [(96, 64), (96, 64), (80, 80), (80, 80), (96, 64)])
        names = sorted((tmp_path / split).iterdir())
        for name, orientation in zip(names, [3, 2, 6, 1, 1], strict=True):
            exif = Image.Exif()
            exif[0x0112] = orientation
            Image.open(name).save(name, exif=exif)
    dataset = CocoFolder(str(tmp_path / "train"), str(tmp_path / "train.json"))
    found = find_turned(dataset, range(5))
    assert {suspect.position for suspect in found} == {0, 1, 2}
    assert "EXIF orientation 6" in found[-1].text
    run(tmp_path, decode=None)
    assert "boxes perhaps drawn before EXIF turned their picture" in capsys.readouterr().out


@pytest.mark.parametrize("end", [KeyboardInterrupt(), Interrupted(signal.SIGTERM), RuntimeError("a bug")], ids=repr)
def test_faults_that_are_known_are_printed_where_it_ends_early(end, folder, capsys, monkeypatch):
    def messages(dataset, positions):
        yield 0, "a.png is cut off"
        yield 1, "b.png is cut off"
        raise end

    monkeypatch.setattr(program, "unreadable", messages)
    with pytest.raises(type(end)):
        run(folder)
    assert "up to here 2 pictures cannot be read:\n  a.png is cut off\n  b.png is cut off\n" in capsys.readouterr().out


def test_pictures_that_are_not_decoded_yet_are_not_waited_for(folder, monkeypatch):
    decoded = []

    def read(dataset, position):
        decoded.append(position)
        time.sleep(0.001)
        raise InputError("it is cut off")

    monkeypatch.setattr(CocoFolder, "read", read)
    messages = unreadable(CocoFolder(str(folder / "train"), str(folder / "train.json")), [0] * 10_000)
    assert next(messages) == (0, "it is cut off")
    messages.close()
    assert len(decoded) < 1000


def test_a_set_against_itself_and_against_another(folder, capsys):
    content = json.loads((folder / "train.json").read_text())
    (folder / "val.json").write_text(json.dumps(content))
    (folder / "val").rename(folder / "old")
    (folder / "train").rename(folder / "val")
    (folder / "train").symlink_to(folder / "val")
    run(folder)
    assert "! 9 pictures are in train and val: 1.png, 2.png" in capsys.readouterr().out
    content["categories"][0]["name"] = "blue"
    (folder / "val.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"disagree about the categories with ids \[5\]"):
        run(folder)


def test_a_set_without_objects_is_refused_after_its_counts(folder, capsys):
    content = json.loads((folder / "train.json").read_text()) | {"annotations": []}
    (folder / "train.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="no training picture has an object"):
        run(folder)
    assert "! train: no object of these classes: 'red', 'green'. " in capsys.readouterr().out


def test_other_sources_can_be_looked_at(tmp_path, capsys):
    options = DataOptions(source="synthetic", synthetic=SyntheticOptions(train=6, val=3), short_side=96, long_side=96)
    check(options, strides=(8, 16), anchor_scale=4.0, most=100, decode=2, sheet=tmp_path, pictures=4)
    assert "canvas 96x96: " in capsys.readouterr().out and (tmp_path / "val.png").exists()
