"""Encodings of text and XML from other programs: read as they were meant, or refused with the remedy."""

import codecs
from pathlib import Path

import pytest

from lad_jax.commands.importing.voc import _parse
from lad_jax.data.class_names import read_class_names
from lad_jax.data.text import read_text, read_xml
from lad_jax.errors import InputError

NAMES = {
    "zh": "行人 红灯",
    "tw": "行人 紅燈",
    "ja": "歩行者 表示",
    "ko": "보행자 신호",
    "de": "Fußgänger",
    "el": "πεζός",
}


def xml(declared: str, name: str) -> str:
    return f'<?xml version="1.0" encoding="{declared}"?>\n<annotation><name>{name}</name></annotation>'


@pytest.mark.parametrize(
    ("declared", "written", "language"),
    [
        ("GB2312", "gb2312", "zh"),
        ("gb2312", "gb18030", "zh"),
        ("Big5", "big5", "tw"),
        ("Shift_JIS", "cp932", "ja"),
        ("EUC-JP", "euc_jp", "ja"),
        ("euc-kr", "cp949", "ko"),
        ("windows-1252", "cp1252", "de"),
        ("ISO-8859-7", "iso8859_7", "el"),
        ("utf-16", "utf-16", "ja"),
        ("utf-16", "utf-16-le", "ja"),  # without a mark
        ("UTF-16", "utf-16-be", "el"),
        ("utf-8", "utf-8-sig", "zh"),
        # Wrong declarations:
        ("utf-16", "utf-8", "zh"),
        ("ascii", "utf-8", "de"),
        ("x-unknown", "utf-8", "ja"),
        ("rot13", "utf-8", "de"),
        ("gb2312", "utf-16", "zh"),
    ],
)
def test_xml_is_read_in_the_encoding_that_it_has(declared: str, written: str, language: str, tmp_path: Path) -> None:
    name, file = NAMES[language], tmp_path / "a.xml"
    file.write_bytes(xml(declared, name).encode(written))
    assert _parse(file).findtext("name") == name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (xml("utf-8", NAMES["zh"]).encode("gbk"), r"a\.xml is not utf-8, as its first line has it.*`iconv"),
        (NAMES["ja"].encode("cp932"), r"is not UTF-8, and declares no other encoding.*`iconv"),
        (xml("ascii", NAMES["de"]).encode("cp1252"), r"is not ascii, .*`iconv"),
        (codecs.BOM_UTF16_LE + b"<\0a", r"is not utf-16, .*`iconv"),
        # Both can be decoded, to other names: which was meant is not known.
        (xml("ISO-8859-1", NAMES["de"]).encode(), r"can be read as iso8859-1, .* and as UTF-8\. .*`iconv"),
        (xml("gbk", "行人" * 3).encode(), r"can be read as gb18030"),
    ],
)
def test_xml_in_another_encoding_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    file.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_xml(file)


@pytest.mark.parametrize("suffix", [".txt", ".names", ".yaml", ".json"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_class_lists_of_any_program(suffix: str, encoding: str, tmp_path: Path) -> None:
    """Windows' programs write marks; its shell writes UTF-16."""
    texts = {
        ".yaml": "names: [行人, Fußgänger]",
        ".json": '{"categories": [{"id": 1, "name": "行人"}, {"id": 2, "name": "Fußgänger"}]}',
    }
    file = tmp_path / f"classes{suffix}"
    file.write_bytes(texts.get(suffix, "行人\r\nFußgänger\r\n").encode(encoding))
    assert read_class_names(file) == ("行人", "Fußgänger")


@pytest.mark.parametrize("encoding", ["gb2312", "big5", "shift_jis", "cp1252", "utf-16-le", "utf-16-be"])
def test_text_that_does_not_say_its_encoding_is_refused(encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "classes.txt"
    file.write_bytes({"cp1252": "Fußgänger\n"}.get(encoding, "cat\n歩行人\n").encode(encoding, errors="ignore"))
    with pytest.raises(InputError, match=rf"{file} is not UTF-8 text\. Save it as UTF-8"):
        read_text(file)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    for read in (read_text, read_xml):
        with pytest.raises(InputError, match=f"cannot read {tmp_path}: Is a directory"):
            read(tmp_path)
