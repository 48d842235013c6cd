"""Reading picture files."""

import io
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image

from lad_jax.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
"""Suffixes of the files in a folder that are taken for pictures."""
_PNG_END = b"IEND\xaeB`\x82"
"""Name of a PNG's last chunk and its checksum, which never changes."""
_ORIENTATION = ExifTags.Base.Orientation
"""EXIF tag of the orientation; values from 5 on exchange height and width."""


class Unreachable(InputError):
    """A picture's file could not be had. It may be there again later: a file system can be gone for a while."""


def read_picture(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Read and decode a picture file; see `decode_picture`.

    Raises:
      InputError: the picture cannot be decoded, or is cut off.
      Unreachable: the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Unreachable(f"cannot read picture {path}: {error.strerror}.") from None
    return decode_picture(data, str(path))


def decode_picture(data: bytes, name: str) -> UInt8[np.ndarray, "h w 3"]:
    """Decode a picture to RGB, 8 bits a channel, turned upright as its EXIF orientation says.

    Gray, palette, CMYK, alpha and 16-bit pictures are converted as `cv2.imread` does.

    Args:
      data: content of the file.
      name: name of the picture, for messages.

    Raises:
      InputError: the picture cannot be decoded, or is cut off (a decoder would fill the rest with gray).
    """
    if _is_cut_off(data):
        raise InputError(f"picture {name} is cut off after {len(data)} bytes: fetch it again or leave it out.")
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        picture = None
    if picture is None:
        raise InputError(f"cannot decode picture {name} ({len(data)} bytes): fetch it again or leave it out.")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def picture_size(data: bytes, name: str) -> tuple[int, int]:
    """Height and width [pixels] that `decode_picture` will give, from the file's header alone.

    Raises:
      InputError: the data are no picture's.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            width, height = picture.size
            lying = picture.getexif().get(_ORIENTATION, 1) >= 5
    except (OSError, Image.DecompressionBombError):
        raise InputError(f"picture {name} ({len(data)} bytes) has no header that says its size.") from None
    return (width, height) if lying else (height, width)


def _is_cut_off(data: bytes) -> bool:
    """Whether a JPEG or PNG lacks its end marker. Bytes after the marker are allowed: cameras append some."""
    if data.startswith(b"\x89PNG"):
        return _PNG_END not in data
    if data.startswith(b"\xff\xd8"):
        return b"\xff\xd9" not in data[_first_scan(data) :]
    return False


def _first_scan(data: bytes) -> int:
    """Position of a JPEG's compressed data.

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
