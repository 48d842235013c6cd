"""Decoding of JPEG files. libjpeg fills what damage destroyed with gray or shifted blocks, and only prints a line."""

import logging
import re

from lad_jax.data.opencv import Picture, decode, reworded
from lad_jax.errors import InputError

_END = b"\xff\xd9"
_HARMLESS = re.compile(
    # A few bytes of padding, between segments of the header or before the end marker, as some cameras write them.
    r"Corrupt JPEG data: (?:\d|1\d) extraneous bytes before marker 0x(?:d9|db|e.|fe)"
    r"|Invalid SOS parameters|Unknown Adobe color transform|Warning: unknown JFIF"
    r"|\["
)
"""libjpeg's messages about pictures that are whole; and OpenCV's own, which are not about their pixels."""

_log = logging.getLogger(__name__)


def decode_jpeg(data: bytes, name: str, reduction: int = 1) -> Picture | None:
    """Decode a JPEG file to BGR, turned upright; None where no picture can be made of it.

    A file that lacks nothing but its end marker is read.

    Args:
      data: content of the file.
      name: name of the picture, for messages.
      reduction: factor that it is decoded smaller by: 1, 2, 4 or 8.

    Raises:
      InputError: the file is cut off, or damaged within.
    """
    scan, only_scan = _first_scan(data)
    ends = data.find(_END, scan) >= 0
    if not ends and not only_scan:  # whole scans may be missing, and libjpeg would say nothing
        raise InputError(cut_off(data, name))
    picture, messages = decode(data if ends else data + _END, reduction)
    harmless = [message for message in messages if _HARMLESS.match(message)]
    damage = [message for message in messages if message not in harmless]
    if harmless and picture is not None:
        _log.warning("picture %s: %s", name, reworded(harmless))
    if damage and not ends:
        raise InputError(cut_off(data, name))
    if damage:
        raise InputError(f"picture {name} is damaged ({reworded(damage[:1])}): fetch it again or leave it out.")
    return picture


def cut_off(data: bytes, name: str) -> str:
    """Message about a file that ends too early."""
    return f"picture {name} is cut off after {len(data)} bytes: fetch it again or leave it out."


def _first_scan(data: bytes) -> tuple[int, bool]:
    """Position of a JPEG's first compressed data, and whether that scan is the only one.

    Only from there on does FFD9 mean the end: before, it may close a thumbnail inside a segment; after, FF within
    compressed data is always followed by 00.
    """
    at, components = 2, b"\0"
    while at + 4 <= len(data) and data[at : at + 2] != b"\xff\xda":
        if data[at] != 0xFF or data[at + 1] == 0xFF:
            at += 1  # fill bytes between segments
        else:
            if data[at + 1] in (0xC0, 0xC1):  # the header of a sequential, not a progressive, picture
                components = data[at + 9 : at + 10]
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return at, data[at + 4 : at + 5] == components
