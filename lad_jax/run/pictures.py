"""Pictures that a caller gives, and their batches on canvases."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageOps

from lad_jax.data import read_picture
from lad_jax.data.canvases import Canvas, smallest_canvas
from lad_jax.data.transforms import resize, resized_hw
from lad_jax.errors import InputError
from lad_jax.types import Pictures
from lad_jax.visualize import Image

Picture = np.ndarray | str | os.PathLike[str] | PIL.Image.Image
"""A picture: pixels, uint8 [height, width, 3] in RGB; the path of a file; or one of Pillow's."""


def is_sequence(pictures: Any) -> bool:
    """Whether these are several pictures, not one."""
    if isinstance(pictures, np.ndarray):
        return pictures.ndim == 4
    return isinstance(pictures, Sequence) and not isinstance(pictures, str)


def numbered(pictures: Sequence[Picture]) -> Iterator[tuple[int, Image]]:
    """The pixels of pictures, with their numbers from 0 on.

    Raises:
      InputError: one is no picture, or a file that cannot be read; names its number.
    """
    for number, picture in enumerate(pictures):
        try:
            yield number, image_of(picture)
        except InputError as error:
            raise InputError(f"pictures[{number}]: {error}" if len(pictures) > 1 else str(error)) from None


def image_of(picture: Any) -> Image:
    """The pixels of a picture.

    Raises:
      InputError: it is none, or a file that cannot be read.
    """
    if isinstance(picture, str | os.PathLike):
        return read_picture(Path(picture))
    if isinstance(picture, PIL.Image.Image):
        return _of_pillow(picture)
    if not isinstance(picture, np.ndarray):
        kind = f"{type(picture).__module__}.{type(picture).__qualname__}"
        raise InputError(
            f"a picture is a numpy array, a path or one of Pillow's, but this is a {kind}: try numpy.asarray(picture)."
        )
    if picture.dtype != np.uint8:
        raise InputError(
            f"a picture's pixels are uint8, 0…255, but these are {picture.dtype}: convert them (those in 0…1 by "
            "`(255 * picture).round().astype(numpy.uint8)`)."
        )
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
        raise InputError(
            f"a picture has the shape [height, width, 3], RGB, but this one has {list(picture.shape)}: repeat gray "
            "three times (`numpy.stack(3 * [gray], axis=-1)`), drop alpha (`picture[..., :3]`), put channels last "
            "(`picture.transpose(1, 2, 0)`)."
        )
    return picture


def _of_pillow(picture: PIL.Image.Image) -> Image:
    """The pixels of a picture of Pillow's, upright and without alpha."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
        raise InputError(f"a picture has 8 bits a channel, but this one of Pillow's has the mode {picture.mode!r}.")
    return np.asarray(PIL.ImageOps.exif_transpose(picture).convert("RGB"))


def batches(
    images: Iterable[tuple[int, Image]], canvases: tuple[Canvas, ...], size: int, *, short_side: int, long_side: int
) -> Iterator[tuple[Canvas, list[tuple[int, Image]]]]:
    """Numbered pictures in batches of `size`, each of those of one canvas; at the end what is left for each canvas.

    Args:
      images: numbers and RGB pictures, taken one by one as they are needed.
      canvases: one of them holds each picture once it is resized.
      size: number of pictures of a batch.
      short_side, long_side: bounds of the resize [pixels].
    """
    waiting: dict[Canvas, list[tuple[int, Image]]] = {canvas: [] for canvas in canvases}
    for number, image in images:
        hw = resized_hw(np.array([image.shape[:2]]), short_side=short_side, long_side=long_side)
        canvas = canvases[smallest_canvas(hw, canvases)[0]]
        waiting[canvas].append((number, image))
        if len(waiting[canvas]) == size:
            yield canvas, waiting[canvas]
            waiting[canvas] = []
    yield from ((canvas, members) for canvas, members in waiting.items() if members)


def pictures_of(images: Sequence[Image], size: int, canvas: Canvas, *, short_side: int, long_side: int) -> Pictures:
    """Pictures, resized as for evaluation, on a canvas that holds them.

    Args:
      images: RGB pictures, at most `size`.
      size: number of rows; those beyond the pictures are one black pixel.
      canvas: height and width of the rows [pixels].
      short_side, long_side: bounds of the resize [pixels].
    """
    original_hw, image_hw = np.ones((2, size, 2), np.int32)
    padded: Any = np.zeros((size, *canvas, 3), np.uint8)
    for row, image in enumerate(images):
        original_hw[row] = image.shape[:2]
        image_hw[row] = resized_hw(original_hw[row], short_side=short_side, long_side=long_side)
        height, width = image_hw[row]
        padded[row, :height, :width] = resize(image, image_hw[row])
    hw: Any = image_hw
    scale: Any = (image_hw / original_hw)[:, ::-1].astype(np.float32)
    return Pictures(padded, hw, scale)
