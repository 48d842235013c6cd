"""Standard output and error that cannot end a program: what is printed is not its work."""

import errno
import io
import os
import select
from typing import Any

from lad_jax.errors import InputError

_UNREAD = (errno.EPIPE, errno.EIO)
"""Errors of a stream that nobody reads any more: the end of a pipe, a terminal that is gone."""


class _Lenient(io.FileIO):
    """The file of a standard stream; after an error it drops what is written."""

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            while not self.failure:
                if (written := super().write(data)) is not None:
                    return written
                select.select([], [self], [])  # another program has set the terminal not to block
        except OSError as error:
            self.failure = error
        return len(data)


class LenientStream(io.TextIOWrapper):
    """A standard stream that can be written to, whatever becomes of it.

    Characters that its encoding lacks, as ASCII and the code pages of Windows do, become escapes such as `\\xe4`. Each
    line is written at once. None, a stream that was closed before the program began, takes everything.
    """

    def __init__(self, stream: Any) -> None:
        descriptor = stream.fileno() if stream else os.open(os.devnull, os.O_WRONLY)
        encoding = stream.encoding if stream else "utf-8"
        self._file = _Lenient(descriptor, "w", closefd=False)
        file = io.BufferedWriter(self._file)
        super().__init__(file, encoding=encoding, errors="backslashreplace", line_buffering=True)

    def check(self) -> None:
        """Check that all was written that somebody reads.

        Raises:
          InputError: it was not: the disk that the stream leads to is full.
        """
        self.flush()
        failure = self._file.failure
        if failure and failure.errno not in _UNREAD:
            raise InputError(f"what was printed is incomplete: {failure}. Files that the command writes are whole.")
