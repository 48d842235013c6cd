"""Which files of a folder, of a pattern or by name are taken for pictures, and what is said of the others."""

import logging
import os
from pathlib import Path

import pytest

from lad_jax.data.folders import find_pictures, list_files, missing_files
from lad_jax.errors import InputError


def make(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def test_file_folder_and_pattern(tmp_path: Path) -> None:
    b, a, deep, _ = make(tmp_path, "b.JPG", "a.png", "deep/c.png", "notes.txt")
    assert find_pictures([str(a)]) == [a]
    assert find_pictures([str(tmp_path)]) == [a, b]
    assert find_pictures([str(tmp_path / "*")]) == [a, b]
    assert find_pictures([str(tmp_path / "*.png")]) == [a]
    assert find_pictures([str(tmp_path / "**" / "*.png")]) == [a, deep]


def test_several_sources_keep_their_order_and_give_each_file_once(tmp_path: Path) -> None:
    a, b = make(tmp_path, "a.png", "b.png")
    assert find_pictures([str(b), str(tmp_path), f"{tmp_path}//../{tmp_path.name}/./b.png"]) == [b, a]


def test_brackets_are_letters_where_they_match_nothing(tmp_path: Path) -> None:
    a, b, _ = make(tmp_path, "scans [2]/a.png", "a1.png", "a2.png")
    assert find_pictures([str(tmp_path / "scans [2]" / "*.png")]) == [a]
    assert find_pictures([str(tmp_path / "scans [2]")]) == find_pictures([str(tmp_path / "scans [2]" / "a.png")]) == [a]
    assert find_pictures([str(tmp_path / "a[1].png")]) == [b]
    with pytest.raises(InputError, match=r"write \[\[\] for a bracket"):
        find_pictures([str(tmp_path / "scans [2]" / "[a]*.png")])


def test_what_is_left_aside_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    a, *_ = make(tmp_path, "a.png", "._a.png", ".DS_Store", "c.png/x", "clip.MP4", "d.heic", "e.heic", "README")
    (tmp_path / "gone.png").symlink_to("elsewhere.png")
    (tmp_path / "linked.png").symlink_to("a.png")
    os.mkfifo(tmp_path / "pipe.png")
    with caplog.at_level(logging.INFO):
        assert find_pictures([str(tmp_path)]) == [a, tmp_path / "linked.png"]
    assert caplog.messages == [
        f"{tmp_path}: left aside .heic: 2, .mp4 (video): 1, devices or pipes: 1, folders: 1, hidden files: 2, "
        "links to nothing: 1, without suffix: 1"
    ]
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert list_files(tmp_path, (".png",)) == [a, tmp_path / "linked.png"]
    assert "folders: 1, hidden files: 1" in caplog.text and "heic" not in caplog.text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("absent.png", r"no picture found at .*: give a file, a folder with \.jpg"),
        ("empty", "no picture found"),
        ("*.gif", "no picture found"),
        ("films", r"no picture found at .*films', but \.mov \(video\): 1: "),
        ("films/a.mov", r"films/a\.mov is a video.*ffmpeg"),
        ("A.PNG", r"There is .*a\.png': write capitals"),
        ("gone.png", "gone.png is a link to nothing.png, which is not there"),
        ("a" * 256, "255 bytes"),
    ],
)
def test_no_picture_is_an_input_error(source: str, message: str, tmp_path: Path) -> None:
    make(tmp_path, "a.png", "films/a.mov")
    (tmp_path / "empty").mkdir()
    (tmp_path / "gone.png").symlink_to("nothing.png")
    with pytest.raises(InputError, match=message):
        find_pictures([str(tmp_path / source)])


def test_addresses_and_nothing_at_all_are_refused() -> None:
    with pytest.raises(InputError, match=r"--images is 's3://bucket/a\.png'"):
        find_pictures(["s3://bucket/a.png"])
    with pytest.raises(InputError, match="no pictures are given"):
        find_pictures([])


def test_missing_files(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "sub/b.png", "dir.png/x")
    (tmp_path / "gone.png").symlink_to("nothing.png")
    (tmp_path / "linked.png").symlink_to("sub/b.png")
    there = ["a.png", "./a.png", "sub//b.png", "sub/./b.png", "linked.png"]
    missing = ["b.png", "gone.png", "dir.png", "absent/a.png", "sub\\b.png", "A.png", "", "x" * 300]
    assert missing_files(tmp_path, [*there, *missing]) == missing
