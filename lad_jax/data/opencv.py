"""OpenCV's decoder of pictures, and what it and its libraries print while they decode one."""

import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import IO, TypeVar

import cv2
import numpy as np
from jaxtyping import UInt8

T = TypeVar("T")
Picture = UInt8[np.ndarray, "h w 3"]

_MESSAGE = re.compile(
    r"(?:(?:Corrupt JPEG data|libpng warning|libpng error): |Premature end of JPEG file|Warning: unknown JFIF"
    r"|Inconsistent progression sequence|Invalid SOS parameters|Unknown Adobe color|\[ ?(?:WARN|ERROR):\d).*\n*"
)
"""Messages of libjpeg, libpng and OpenCV itself, which speaks for libtiff too."""
_BEGINNING = re.compile(r"Corrupt JPEG data: |libpng \w+: |\[.*?\] global \S+ \S+ ")
_FLAGS = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_one_at_a_time = threading.Lock()


def decode(data: bytes, reduction: int = 1) -> tuple[Picture | None, list[str]]:
    """Decode a picture file by OpenCV to BGR, 8 bits a channel, turned upright.

    Args:
      data: content of the file.
      reduction: factor that it is decoded smaller by: 1, 2, 4 or 8.

    Returns:
      The picture, or None where none can be made of the data; and the messages that the decoder printed.
    """
    picture, written = with_stderr(lambda: _imdecode(data, reduction))
    if others := _MESSAGE.sub("", written):  # of other threads
        print(others, end="", file=sys.stderr, flush=True)
    return picture, [message.strip() for message in _MESSAGE.findall(written)]


def reworded(messages: Sequence[str]) -> str:
    """Messages of decoders as one line that is not taken for one when it is logged while another thread decodes."""
    texts = [_BEGINNING.sub("", message, count=1) for message in messages]
    return "; ".join(text[:1].lower() + text[1:] for text in texts)


def with_stderr(function: Callable[[], T]) -> tuple[T, str]:
    """The result of a function, and what is written to the process's stderr meanwhile, by C code too.

    One call at a time: what two write could not be told apart.
    """
    with _one_at_a_time, _scratch() as kept:
        stderr = os.dup(2)
        try:
            os.dup2(kept.fileno(), 2)
            result = function()
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        size = kept.tell()
        kept.seek(0)
        return result, kept.read(size).decode(errors="replace")


def _scratch() -> IO[bytes]:
    """A file without a name; in memory where the system has such files, since a disk may be full."""
    if sys.platform == "linux":
        return open(os.memfd_create("stderr"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def _imdecode(data: bytes, reduction: int) -> Picture | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), _FLAGS[reduction])
    except cv2.error:
        return None
