"""Files after a kill, a power cut or on a full disk: what is whole is kept, and what is not is counted."""

import json
import os
from pathlib import Path

import pytest

from lad_jax.files import append_line, read_lines, write_whole


@pytest.mark.parametrize(
    "damage",
    [
        b'{"step": 2, "lo',
        b'{"step": 2}{"step": 3}',
        b"\x00" * 40,
        b'\xff\xfe{"step": 2}',
        b'{"step": 2, "name": "\xe9"}',
        '{"step": 2}'.encode("utf-16"),
        b'{"loss": 1.5}',
        b'{"step": "2"}',
        b'{"step": true}',
        b'{"step": null}',
        b'[{"step": 2}]',
        b"2",
        b'"step"',
        b"[" * 100_000,
        b'{"step": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda damage: repr(damage[:20]),
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_damaged_line_costs_only_itself(damage: bytes, place: int, tmp_path: Path) -> None:
    whole = [{"step": 1, "loss": 0.5}, {"step": 4, "evaluation": {}}]
    texts = [json.dumps(line).encode() for line in whole]
    file = tmp_path / "log.jsonl"
    file.write_bytes(b"\n".join([*texts[:place], damage, *texts[place:]]))
    assert read_lines(file) == (whole, 1)


@pytest.mark.parametrize("content", [None, b"", b"\n\n", b" \r\n"])
def test_a_log_without_lines(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    if content is not None:
        file.write_bytes(content)
    assert read_lines(file) == ([], 0)


def test_what_follows_a_line_that_was_cut_off_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    append_line(file, {"step": 1})
    with file.open("ab") as log:
        log.write(b'{"step": 2, "ti')
    append_line(file, {"step": 3})
    append_line(file, {"step": 4})
    assert read_lines(file) == ([{"step": 1}, {"step": 3}, {"step": 4}], 1)


def test_a_full_disk_leaves_the_old_content_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.json"
    write_whole(file, "old")

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError):
        write_whole(file, "new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_text_is_the_same_on_every_machine(tmp_path: Path) -> None:
    """UTF-8, whatever the locale; bytes of a file name that are not UTF-8 come back as they were."""
    write_whole(tmp_path / "a", "±" + os.fsdecode(b"\xff.png"))
    assert (tmp_path / "a").read_bytes() == "±".encode() + b"\xff.png"


def test_a_name_of_full_length(tmp_path: Path) -> None:
    write_whole(tmp_path / ("a" * 255), b"\xff")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"\xff"]
