"""Files that survive a kill or a power cut: written whole, or line by line, where a damaged line costs only itself."""

import contextlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file that is whole at any time, see `replacing`.

    Text is written as UTF-8, on any machine; bytes of file names that are not UTF-8 are kept.
    """
    with replacing(path) as file:
        file.write(content.encode(errors="surrogateescape") if isinstance(content, str) else content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file under another name and rename it at the end of the block, unless an error ends that.

    Readers find the old content or the new, and nothing between.
    """
    unfinished = path.with_name(f".{os.getpid()}.{threading.get_ident()}.tmp")  # short: the name may be of full length
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # a power cut could otherwise leave the new name with nothing in it
    except BaseException:  # a full disk
        unfinished.unlink(missing_ok=True)
        raise
    os.replace(unfinished, path)


def append_line(path: Path, line: Mapping[str, Any]) -> None:
    """Append an object to a log as a line of JSON; the rest of a line that was cut off there stays a line by itself."""
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(line).encode() + b"\n")


def read_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Lines of a log that are whole, each an object with a `step`, and the number of those that are not.

    A kill may cut off a line; a power cut may leave any bytes, at any place. A missing file has no lines.
    """
    texts = [text for text in path.read_bytes().split(b"\n") if text.strip()] if path.exists() else []
    lines = [line for text in texts if (line := _parse(text))]
    return lines, len(texts) - len(lines)


def _parse(text: bytes) -> dict[str, Any] | None:
    """A line of a log; None where it is damaged."""
    try:
        line = json.loads(text.decode())
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) and type(line.get("step")) is int else None
