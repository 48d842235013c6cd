"""Reading picture files."""

import io
import logging
import re
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps
from PIL.TiffImagePlugin import BITSPERSAMPLE

from lad_jax.data.jpeg import cut_off, decode_jpeg
from lad_jax.data.opencv import Picture, decode, reworded
from lad_jax.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
"""Suffixes of the files in a folder that are taken for pictures."""
_PNG_END = b"IEND\xaeB`\x82"
"""Name of a PNG's last chunk and its checksum, which never changes."""
_PNG, _TIFF = b"\x89PNG", (b"II*\0", b"MM\0*")
"""First bytes of files; those of a TIFF are either of two."""
_TIFF_DAMAGE = re.compile("TIFF_Error|Corrupt JPEG data|Premature end of JPEG")
"""Messages of libtiff about pixels that it could not read: they would be black, or gray where JPEGs are within."""
_MAX_OF_12_BITS = 16
"""Largest value that 12 bits have after 16 were reduced to 8, as a TIFF's are, by rounding."""
_ORIENTATION = ExifTags.Base.Orientation
"""EXIF tag of the orientation; values from 5 on exchange height and width."""

_log = logging.getLogger(__name__)


class Unreachable(InputError):
    """A picture's file could not be had. It may be there again later: a file system can be gone for a while."""


def read_picture(path: Path) -> Picture:
    """Read and decode a picture file; see `decode_picture`.

    Raises:
      InputError: see `decode_picture`.
      Unreachable: the file cannot be read.
    """
    return decode_picture(read_file(path), str(path))


def read_file(path: Path) -> bytes:
    """Content of a picture file.

    Raises:
      Unreachable: the file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unreachable(f"cannot read picture {path}: {error.strerror}.") from None


def decode_picture(data: bytes, name: str, reduction: int = 1) -> Picture:
    """Decode a picture to RGB, 8 bits a channel, turned upright as its EXIF orientation says.

    Gray, palette, CMYK and 16-bit pictures are converted as `cv2.imread` does; alpha is dropped, and of an animated
    picture the first image is taken, in a PNG the one that viewers without animation show.

    Args:
      data: content of the file.
      name: name of the picture, for messages.
      reduction: factor that a JPEG is decoded smaller by, 1, 2, 4 or 8; others stay whole.

    Raises:
      InputError: the picture cannot be decoded, is cut off or damaged (where a decoder would fill the rest with gray),
        or would become almost black, since its 16 bits are used as 12 or fewer.
    """
    picture = _decode(data, name, reduction)
    if picture is None:
        raise InputError(f"cannot decode picture {name} ({len(data)} bytes): fetch it again or leave it out.")
    if not is_jpeg(data) and 0 < picture.max() <= _MAX_OF_12_BITS and _has_16_bits(data):
        raise InputError(
            f"picture {name} has 16 bits a channel, but no value above 4095, as if they were 12 or fewer, and would be "
            "almost black: scale its values to all 16 bits, or save it with 8."
        )
    return picture


def _decode(data: bytes, name: str, reduction: int) -> Picture | None:
    """The picture in RGB, or None where it cannot be decoded."""
    if is_jpeg(data):
        return _to_rgb(decode_jpeg(data, name, reduction))
    if data.startswith(_PNG):
        if _PNG_END not in data:
            raise InputError(cut_off(data, name))
        data = _without_animation(data)
    elif data.startswith(_TIFF):
        picture = _drop_alpha_of_tiff(data)
        if picture is not None:
            return picture
    picture, messages = decode(data)
    if picture is not None and _TIFF_DAMAGE.search("".join(messages)):
        raise InputError(f"picture {name} is damaged ({reworded(messages)}): fetch it again or leave it out.")
    if picture is not None and messages:
        _log.warning("picture %s: %s", name, reworded(messages))
    return _to_rgb(picture)


def _to_rgb(picture: Picture | None) -> Picture | None:
    return None if picture is None else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _without_animation(png: bytes) -> bytes:
    """A PNG without the chunk that makes it animated: OpenCV gives the first of the animation, which may be another."""
    at = png.find(b"acTL", 0, png.find(b"IDAT"))
    return png if at < 0 else png[: at - 4] + png[at + 16 :]


def _drop_alpha_of_tiff(data: bytes) -> Picture | None:
    """A TIFF's colours by Pillow if it has alpha, by which OpenCV multiplies them; else, or if it is damaged, None."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.mode != "RGBA":
                return None
            return np.array(ImageOps.exif_transpose(picture).convert("RGB"))
    except Exception:  # of kinds that Pillow does not document
        return None


def _has_16_bits(data: bytes) -> bool:
    """Whether a PNG or TIFF has 16 bits a channel."""
    if data.startswith(_PNG):
        return data[24] == 16
    if not data.startswith(_TIFF):
        return False
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return 16 in picture.tag_v2.get(BITSPERSAMPLE, ())  # type: ignore[attr-defined]
    except Exception:
        return False


def is_jpeg(data: bytes) -> bool:
    """Whether the data are a JPEG's."""
    return data.startswith(b"\xff\xd8")


def picture_size(data: bytes, name: str) -> tuple[int, int]:
    """Height and width [pixels] that `decode_picture` will give without a reduction, from the file's header alone.

    Raises:
      InputError: the data are no picture's.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            width, height = picture.size
    except (OSError, Image.DecompressionBombError):
        raise InputError(f"picture {name} ({len(data)} bytes) has no header that says its size.") from None
    return (width, height) if orientation(io.BytesIO(data)) >= 5 else (height, width)


def orientation(file: Path | io.BytesIO) -> int:
    """EXIF orientation of a picture file, 1…8: from 2 on it is turned or mirrored when it is decoded.

    1 where the file says none, or cannot be read.
    """
    try:
        with Image.open(file) as picture:
            value: object = picture.getexif().get(_ORIENTATION)
    except Exception:  # of kinds that Pillow does not document
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
