"""Drawings of detections, and of the priors that an assignment makes responsible for objects.

Images are uint8 RGB arrays in numpy; drawing is OpenCV's. Every function returns a new image.
"""

import colorsys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from lad_jax.errors import InputError
from lad_jax.files import write_whole
from lad_jax.types import Assignment, GroundTruth, Priors

Image = UInt8[np.ndarray, "_ _ 3"]
"""An RGB image; height and width are anonymous, since the images of one call may differ in size."""
Colour = tuple[int, int, int]

_FONT, _CAPITAL = cv2.FONT_HERSHEY_SIMPLEX, 21
"""The font, and the height of its capitals at scale 1 [pixels]."""
_PAPER, _INK = (255, 255, 255), (25, 25, 25)


def colour(index: int) -> Colour:
    """The colour of a class or object: hues step by a golden section, so that neighbours differ, in three tones."""
    saturation, value = ((0.85, 1.00), (0.45, 1.00), (1.00, 0.70))[index % 3]
    red, green, blue = colorsys.hsv_to_rgb((0.02 + 0.618034 * index) % 1.0, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def readable_factor(image: Image, least: int = 512) -> int:
    """Integer factor that brings the longer side of a small picture to about `least` pixels; 1 for a large one."""
    return max(1, round(least / max(image.shape[:2])))


def enlarge(image: Image, factor: int) -> Image:
    """The image with `factor` times the rows and columns."""
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def draw_boxes(
    image: Image,
    boxes: Float[np.ndarray, "N 4"],
    labels: Int[np.ndarray, " N"],
    scores: Float[np.ndarray, " N"] | None,
    class_names: Sequence[str],
) -> Image:
    """The image, enlarged if small, with boxes in the colour of their class, its name and, if given, the score.

    Args:
      image: the picture.
      boxes: `x1 y1 x2 y2`, in its pixels.
      labels: class indices.
      scores: 0…1, better boxes are drawn over the others; None for annotations.
      class_names: by class index.

    Returns:
      The drawing, an integer factor larger than a small picture.
    """
    factor = readable_factor(image)
    image, boxes = enlarge(image, factor), boxes * factor
    line, text = _line_width(image), _text_height(image)
    order = np.arange(len(boxes)) if scores is None else np.argsort(scores, kind="stable")
    for i in order:
        _rectangle(image, boxes[i], colour(int(labels[i])), line)
    for i in order:
        name = class_names[labels[i]] if scores is None else f"{class_names[labels[i]]} {scores[i]:.2f}"
        _tag(image, name, boxes[i, :2], colour(int(labels[i])), text)
    return image


def draw_priors(image: Image, priors: Priors, assignment: Assignment, truth: GroundTruth) -> Image:
    """A row of panels, one per pyramid level: the objects, and the priors of the level that are positive.

    Every object has another colour. A positive prior is a dot at its centre with the thin outline of its anchor, both
    in the colour of the object that it is responsible for.

    Args:
      image: the picture on its canvas; small ones are enlarged.
      priors: of that canvas (numpy).
      assignment: of that picture (numpy).
      truth: its annotated boxes (numpy).
    """
    factor = readable_factor(image)
    # On a darkened picture colours stand out, whatever it shows.
    ground = (enlarge(image, factor) * 0.55).astype(np.uint8)
    anchors, responsible = np.asarray(priors.boxes) * factor, np.asarray(assignment.object).tolist()
    boxes = np.asarray(truth.boxes) * factor
    line = _line_width(ground)
    objects = np.flatnonzero(truth.mask & ~truth.crowd)
    panels, captions = [], []
    for stride, level in zip(priors.levels.strides, priors.levels.slices, strict=True):
        positives = level.start + np.flatnonzero(assignment.object[level] >= 0)
        outlines = ground.copy()
        for a in positives:
            _rectangle(outlines, anchors[a], colour(responsible[a]), 1)
        panel = cv2.addWeighted(ground, 0.6, outlines, 0.4, 0).astype(np.uint8)
        for g in objects:
            _rectangle(panel, boxes[g], colour(int(g)), line)
        for a in positives:
            _dot(panel, (anchors[a, :2] + anchors[a, 2:]) / 2, colour(responsible[a]), 2 * line + 2)
        panels.append(panel)
        captions.append(f"P{stride.bit_length() - 1}, stride {stride}: {len(positives)} positive")
    return side_by_side(panels, captions)


def side_by_side(images: Sequence[Image], captions: Sequence[str] | None = None) -> Image:
    """The images in a row, tops aligned, each under its caption."""
    images = _captioned(images, captions)
    height = max(len(image) for image in images)
    gap = np.full((height, _gap(images), 3), _PAPER, np.uint8)
    row = [gap]
    for image in images:
        row += [pad_to(image, height, image.shape[1]), gap]
    return np.concatenate(row, axis=1)


def stack(images: Sequence[Image], captions: Sequence[str] | None = None) -> Image:
    """The images in a column, left sides aligned, each under its caption."""
    images = _captioned(images, captions)
    width = max(image.shape[1] for image in images)
    gap = np.full((_gap(images), width, 3), _PAPER, np.uint8)
    column = [gap]
    for image in images:
        column += [pad_to(image, len(image), width), gap]
    return np.concatenate(column, axis=0)


def pad_to(image: Image, height: int, width: int) -> Image:
    """The image with white paper below and to the right, up to that size [pixels]."""
    below, right = height - image.shape[0], width - image.shape[1]
    return cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT, value=_PAPER)


def write_png(path: Path, image: Image) -> None:
    """Write the image, making its folder if need be.

    Raises:
      InputError: the file cannot be written.
    """
    _, png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, png.tobytes())
    except OSError as error:
        raise InputError(f"cannot write the picture {path}: {error.strerror}.") from None


def _line_width(image: Image) -> int:
    return max(1, round(max(image.shape[:2]) / 300))


def _text_height(image: Image) -> float:
    """Height of capitals [pixels]: a share of the picture, but legible."""
    return float(np.clip(max(image.shape[:2]) / 75, 8, 24))


def _gap(images: Sequence[Image]) -> int:
    return max(4, max(max(image.shape[:2]) for image in images) // 100)


def _captioned(images: Sequence[Image], captions: Sequence[str] | None) -> Sequence[Image]:
    """Each image below a strip of paper with its caption; one text size for all, which fits the narrowest."""
    if captions is None:
        return images
    height = float(np.clip(max(max(image.shape[:2]) for image in images) / 45, 9, 24))
    pairs = zip(images, captions, strict=True)
    height *= min(1.0, *(image.shape[1] / max(1, _text_width(caption, height)) for image, caption in pairs))
    strips = [np.full((max(1, round(2.4 * height)), image.shape[1], 3), _PAPER, np.uint8) for image in images]
    for strip, caption in zip(strips, captions, strict=True):
        _write(strip, caption, 0, round(1.7 * height), _INK, height)
    return [np.concatenate([strip, image]) for strip, image in zip(strips, images, strict=True)]


def _rectangle(image: Image, box: Float[np.ndarray, "4"], tone: Colour, width: int) -> None:
    x1, y1, x2, y2 = np.round(box).astype(int).tolist()
    cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), tone, width)


def _dot(image: Image, centre: Float[np.ndarray, "2"], tone: Colour, radius: int) -> None:
    """A filled circle with a dark rim, so that it shows on its colour too."""
    pixel = np.round(centre).astype(int).tolist()
    cv2.circle(image, pixel, radius + 1, _INK, cv2.FILLED, cv2.LINE_AA)
    cv2.circle(image, pixel, radius, tone, cv2.FILLED, cv2.LINE_AA)


def _tag(image: Image, text: str, corner: Float[np.ndarray, "2"], tone: Colour, height: float) -> None:
    """`text` on a patch of colour above a box's upper left corner, moved inside the image where it would leave it."""
    margin = max(2, round(height / 3))
    width, tall = _text_width(text, height) + 2 * margin, round(height) + 2 * margin
    x = int(np.clip(corner[0], 0, max(0, image.shape[1] - width)))
    y = int(np.clip(corner[1] - tall, 0, max(0, len(image) - tall)))
    cv2.rectangle(image, (x, y), (x + width - 1, y + tall - 1), tone, cv2.FILLED)
    bright = np.dot(tone, (0.299, 0.587, 0.114)) > 130
    _write(image, text, x + margin, y + tall - margin, _INK if bright else _PAPER, height)


def _font(height: float) -> tuple[int, float, int]:
    """Font, scale and thickness of text whose capitals have that height [pixels]."""
    return _FONT, height / _CAPITAL, max(1, round(height / 10))


def _text_width(text: str, height: float) -> int:
    return cv2.getTextSize(text, *_font(height))[0][0]


def _write(image: Image, text: str, x: int, baseline: int, tone: Colour, height: float) -> None:
    font, scale, thickness = _font(height)
    cv2.putText(image, text, (x, baseline), font, scale, tone, thickness, cv2.LINE_AA)
