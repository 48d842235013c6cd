"""The entries of a JSON list that come in another order than the list's, and more than memory should hold."""

import errno
import io
import json
import os
from pathlib import Path
from typing import Any

from lad_jax.files import replacing


class Entries:
    """Numbered entries, kept in a file until all are there."""

    def __init__(self, file: io.RawIOBase) -> None:
        """Take an empty file, which is open for reading and writing, unbuffered, and left to the caller to close."""
        self._file = file
        self._places: dict[int, tuple[int, int]] = {}

    def __len__(self) -> int:
        """Number of entries that have been added."""
        return len(self._places)

    def add(self, number: int, entry: dict[str, Any]) -> None:
        """Add an entry.

        Raises:
          OSError: the disk is full; the entries before are kept.
        """
        data = json.dumps(entry, indent=1, allow_nan=False).replace("\n", "\n ").encode()
        start = self._file.seek(0, os.SEEK_END)
        if self._file.write(data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._places[number] = start, len(data)

    def write(self, target: Path) -> None:
        """Write the entries that have been added as a JSON list, by their numbers."""
        with replacing(target) as file:
            before = b"[\n "
            for number in sorted(self._places):
                start, length = self._places[number]
                self._file.seek(start)
                file.write(before + (self._file.read(length) or b""))
                before = b",\n "
            file.write(b"\n]\n" if self._places else b"[]\n")
