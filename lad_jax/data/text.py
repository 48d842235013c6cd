"""Text of files that other programs have written, in whatever encoding they have marked or declared."""

import codecs
import re
from pathlib import Path

from lad_jax.errors import InputError

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"<\0": "utf-16-le",
    b"\0<": "utf-16-be",
}
"""Encodings by a file's first bytes: marks of the byte order, UTF-32's before UTF-16's; and XML without a mark."""
_DECLARATION = re.compile(rb"""<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([\w.:-]{1,40})["']""")
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "big5": "big5hkscs"}
"""Encodings that have more characters than those that programs declare, and that they write."""
_REMEDY = "Save it as UTF-8: an editor can, or `iconv -f ENCODING -t UTF-8`"


def read_text(path: Path) -> str:
    """Text of a file: UTF-8, unless it begins with the byte order mark of UTF-16 or UTF-32.

    Raises:
      InputError: it cannot be read, or is in another encoding; names it.
    """
    data = _read(path)
    text = _decode(data, _marked(data) or "utf-8")
    if text is None or "\0" in text:
        raise InputError(f"{path} is not UTF-8 text. {_REMEDY}.")
    return text


def read_xml(path: Path) -> str:
    """Text of an XML file in the encoding that it is marked with or declares, else UTF-8.

    A declaration that its bytes contradict is false: then the file is UTF-8, if it can be.

    Raises:
      InputError: it cannot be read, or its encoding is not the declared one, or may be another; names it.
    """
    data = _read(path)
    marked, declared = _marked(data), _declared(data)
    encodings = [marked] if marked else ["utf-8", declared]
    texts = {text for encoding in encodings if (text := _decode(data, encoding)) is not None}
    if len(texts) == 1:
        return texts.pop()
    if texts:
        raise InputError(
            f"{path} can be read as {declared}, as it declares, and as UTF-8. {_REMEDY}; and declare that."
        )
    said = marked or _DECLARATION.match(data)
    fault = f"{marked or declared}, as its first line has it" if said else "UTF-8, and declares no other encoding"
    raise InputError(f"{path} is not {fault}. {_REMEDY}; and declare that.")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}.") from None


def _marked(data: bytes) -> str | None:
    """Encoding by the first bytes; None: they are not told from UTF-8."""
    return next((encoding for mark, encoding in _MARKS.items() if data.startswith(mark)), None)


def _declared(data: bytes) -> str:
    """Encoding by XML's declaration, or one that has all its characters; UTF-8 where nothing else can be."""
    found = _DECLARATION.match(data)
    try:
        name = codecs.lookup(found[1].decode("ascii")).name if found else "utf-8"
    except LookupError:  # Python knows none of this name
        name = "utf-8"
    # What could be read as ASCII up to here is no UTF-16, though programs declare it.
    return "utf-8" if name.startswith(("utf-16", "utf-32")) else _WIDER.get(name, name)


def _decode(data: bytes, encoding: str) -> str | None:
    """Text of bytes; None where they are not in this encoding, or it is none of texts."""
    try:
        return data.decode(encoding)
    except (UnicodeError, LookupError):
        return None
