"""Paths as users write them: expanded, refused, made, and compared with what is on the disk."""

import os
import unicodedata
from pathlib import Path

import pytest

from lad_jax.errors import InputError
from lad_jax.paths import check_writable, local_path, make_folder, why_missing

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Zoë") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("~/runs", "/home/ann/runs"),
        ("~", "/home/ann"),
        ("runs/~a/b", "runs/~a/b"),
        ("./zoo:paa_r50_1x", "./zoo:paa_r50_1x"),
        ("C:/pictures", "C:/pictures"),  # a folder C: of this one; a drive has one letter, a scheme more
        ("a//b [1]/ä", "a//b [1]/ä"),
    ],
)
def test_home_is_expanded_and_nothing_else(text: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert local_path(text, "--workdir") == path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "--workdir is empty"),
        ("s3://bucket/run", r"--workdir is 's3://bucket/run'.*docs/scaling\.md"),
        ("gs:/bucket", "only paths of the file system"),
        ("https://example.org/a.png", "fetch what is there"),
        ("file:///tmp/a", "only paths of the file system"),
        ("zoo:paa_r50_1x", "a published network, but must be a path here: `lad-jax convert` makes it a workdir"),
        ("zoo:paa_r50_1x", r"makes it a workdir\. A folder of that name is \./zoo:paa"),
        ("~nobody.here/runs", r"no home folder of ~nobody\.here: write \./~nobody\.here"),
        ("runs/" + "é" * 128, "at most 255 bytes"),
        ("runs/a\0b", "no zero byte"),
    ],
)
def test_what_can_be_no_path_here_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        local_path(text, "--workdir")


def test_a_file_may_begin_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("~draft.png").touch()
    assert local_path("~draft.png", "--images") == "~draft.png"


def test_a_folder_that_cannot_be_made_or_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_folder(tmp_path / "a" / "b", "workdir")
    make_folder(tmp_path / "a" / "b", "workdir")
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nothing")
    for name in ("file", "link"):
        with pytest.raises(InputError, match=f"workdir .*{name} cannot be made: there is a file of that name"):
            make_folder(tmp_path / name, "workdir")
    with pytest.raises(InputError, match="below cannot be made: Not a directory"):
        make_folder(tmp_path / "file" / "below", "workdir")
    # Permissions do not bind root, who may run this.
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    with pytest.raises(InputError, match=r"workdir .*b cannot be written to: change its permissions"):
        check_writable(tmp_path / "a" / "b", "workdir")


@pytest.mark.parametrize(
    ("there", "name", "words"),
    [
        (f"{DECOMPOSED}.png", f"{COMPOSED}.png", ["Zoe\\u0308.png", "Zo\\xeb.png", "NFC"]),
        (f"{COMPOSED}/1.png", f"{DECOMPOSED}/1.png", ["Zo\\xeb/1.png", "NFD"]),
        ("a/b/1.png", "a\\b\\1.png", ["'a/b/1.png'", "write /"]),
        ("IMG_1.JPG", "img_1.jpg", ["'IMG_1.JPG'", "capitals"]),
        ("Scans/1.png", "scans\\1.PNG", ["'Scans/1.png'", "capitals"]),
        ("1.png/x", "1.png", ["1.png is a folder"]),
    ],
)
def test_what_differs_is_said(there: str, name: str, words: list[str], tmp_path: Path) -> None:
    (tmp_path / there).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / there).touch()
    reason = why_missing(tmp_path, name)
    assert [word for word in words if word not in reason] == []


def test_nothing_alike(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "gone.png").symlink_to("elsewhere.png")
    assert why_missing(tmp_path, "gone.png") == "gone.png is a link to elsewhere.png, which is not there."
    assert [why_missing(tmp_path, name) for name in ("b.png", "a.png/b", "x\\y", "..\\z")] == [""] * 4
