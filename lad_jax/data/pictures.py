"""From a picture file to pixels."""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from lad_jax.errors import InputError

_PNG_END = b"IEND\xaeB`\x82"
"""The last chunk's name and its checksum, which never changes."""


def read_picture(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Decode a picture to RGB, 8 bits a channel, turned upright as its EXIF orientation says.

    Gray, palette, CMYK, alpha and 16-bit pictures are converted as `cv2.imread` does.

    Raises:
      InputError: the file cannot be read or decoded, or is cut off (a decoder would fill the rest with gray).
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read picture {path}: {error.strerror}.") from None
    if _is_cut_off(data):
        raise InputError(f"picture {path} is cut off after {len(data)} bytes: fetch it again or leave it out.")
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        picture = None
    if picture is None:
        raise InputError(f"cannot decode picture {path} ({len(data)} bytes): fetch it again or leave it out.")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _is_cut_off(data: bytes) -> bool:
    """Whether a JPEG or PNG lacks its end marker. Bytes after the marker are allowed: cameras append their own."""
    if data.startswith(b"\x89PNG"):
        return _PNG_END not in data
    if data.startswith(b"\xff\xd8"):
        return b"\xff\xd9" not in data[_first_scan(data) :]
    return False


def _first_scan(data: bytes) -> int:
    """Where a JPEG's compressed data starts.

    Only from there on does FFD9 mean the end: before, it may close a thumbnail inside a segment; after, FF within
    compressed data is always followed by 00.
    """
    at = 2
    while at + 4 <= len(data) and data[at : at + 2] != b"\xff\xda":
        if data[at] != 0xFF or data[at + 1] == 0xFF:
            at += 1  # fill bytes between segments
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return at
