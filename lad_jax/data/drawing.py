"""The shapes of the synthetic data set and their pixels."""

import colorsys
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

CLASSES = ("disc", "square", "triangle", "ring", "cross")
_SHIFT = 4
"""Number of fractional bits of the coordinates that OpenCV gets."""


class Shape(NamedTuple):
    """A shape: its outline is rotated by `angle` and then stretched to fill `box` exactly."""

    label: int
    box: tuple[float, float, float, float]
    """Box `x1 y1 x2 y2` [pixels]."""
    angle: float
    """Rotation of the outline [radian]."""
    hue: float
    """Hue of the colour, 0…1."""


def _circle(radius: float) -> Float[np.ndarray, "n 2"]:
    turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    return radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)


_ARM = 0.36
_OUTLINES: dict[str, list[np.ndarray]] = {
    "disc": [_circle(1.0)],
    "square": [np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)],
    "triangle": [np.array([[0, -1], [1, 1], [-1, 1]], float)],
    "ring": [_circle(1.0), _circle(0.5)],
    "cross": [
        np.array(
            [
                *[(-_ARM, -1), (_ARM, -1), (_ARM, -_ARM), (1, -_ARM), (1, _ARM), (_ARM, _ARM)],
                *[(_ARM, 1), (-_ARM, 1), (-_ARM, _ARM), (-1, _ARM), (-1, -_ARM), (-_ARM, -_ARM)],
            ]
        )
    ],
}
"""Contours of each class around the origin; one inside another is a hole."""


def fill(canvas: UInt8[np.ndarray, "h w"], shape: Shape, value: int, *, smooth: bool = False) -> None:
    """Paint the shape's area into `canvas`, with soft edges if `smooth`."""
    cos, sin = np.cos(shape.angle), np.sin(shape.angle)
    contours = [contour @ np.array([[cos, sin], [-sin, cos]]) for contour in _OUTLINES[CLASSES[shape.label]]]
    low, high = contours[0].min(axis=0), contours[0].max(axis=0)
    corner, size = np.array(shape.box[:2]), np.array(shape.box[2:]) - np.array(shape.box[:2])
    # OpenCV counts from pixel centres, boxes from pixel corners.
    points = [((corner + (c - low) / (high - low) * size - 0.5) * 2**_SHIFT).round().astype(np.int32) for c in contours]
    cv2.fillPoly(canvas, points, value, lineType=cv2.LINE_AA if smooth else cv2.LINE_8, shift=_SHIFT)


def draw_shape(picture: UInt8[np.ndarray, "h w 3"], shape: Shape, random: np.random.Generator) -> None:
    """Paint a shape in a colour near its hue and in its class's texture."""
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = shape.box
    left, top = max(int(x1) - 1, 0), max(int(y1) - 1, 0)
    right, bottom = min(int(x2) + 2, width), min(int(y2) + 2, height)
    mask = np.zeros((bottom - top, right - left), np.uint8)
    fill(mask, shape._replace(box=(x1 - left, y1 - top, x2 - left, y2 - top)), 255, smooth=True)
    v, u = np.mgrid[top:bottom, left:right].astype(np.float32) + 0.5
    light = 1 + 0.3 * _texture(CLASSES[shape.label], u - (x1 + x2) / 2, v - (y1 + y2) / 2, (x2 - x1) / 2, random)
    colour = 255 * np.array(colorsys.hsv_to_rgb(shape.hue, random.uniform(0.55, 1.0), random.uniform(0.5, 0.9)))
    paint = np.clip(colour * light[..., None], 0, 255)
    opaque = mask[..., None] / np.float32(255)
    area = picture[top:bottom, left:right]
    area[:] = area + (paint - area) * opaque


def _texture(
    name: str, u: Float[np.ndarray, "h w"], v: Float[np.ndarray, "h w"], half: float, random: np.random.Generator
) -> Float[np.ndarray, "h w"]:
    """Brightness in -1…1 at (u, v) pixels from the shape's centre."""
    phase = random.uniform(0, 2 * np.pi)
    if name == "disc":  # a ball lit from one side
        return 1 - 1.2 * np.hypot(u / half + 0.4 * np.cos(phase), v / half + 0.4 * np.sin(phase))
    if name == "square":  # stripes
        return np.sin(1.3 * (u * np.cos(phase) + v * np.sin(phase)) + phase)
    if name == "triangle":  # chequered
        return np.sign(np.sin(0.9 * u + phase) * np.sin(0.9 * v + phase))
    if name == "ring":  # bright on one side
        return np.cos(np.arctan2(v, u) - phase)
    return random.uniform(-1, 1, u.shape)  # a grainy cross


def draw_background(size: int, random: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """Draw clutter that is no object: a colour gradient, clouds, soft blobs, thin arcs and lines, and noise."""
    corners = random.uniform(30, 200, (2, 2, 1)) + random.uniform(-35, 35, (2, 2, 3))
    picture = cv2.resize(corners.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)
    clouds = random.normal(0, 14, (8, 8, 3)).astype(np.float32)
    picture = picture + cv2.resize(clouds, (size, size), interpolation=cv2.INTER_CUBIC)
    blobs = picture.copy()
    for _ in range(int(random.integers(0, 5))):
        axes = random.integers(4, 24, 2)
        centre = random.integers(0, size, 2)
        cv2.ellipse(blobs, centre.tolist(), axes.tolist(), random.uniform(0, 180), 0, 360, _colour(random), -1)
    picture = (picture + cv2.GaussianBlur(blobs, (0, 0), 3)) / 2
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    for _ in range(int(random.integers(1, 6))):
        a, b = random.integers(0, size, (2, 2)).tolist()
        cv2.line(picture, a, b, _colour(random), 1, cv2.LINE_AA)
    for _ in range(int(random.integers(0, 4))):
        centre, axes = random.integers(0, size, 2).tolist(), random.integers(5, 25, 2).tolist()
        start = random.uniform(0, 360)
        end = start + random.uniform(40, 140)
        cv2.ellipse(picture, centre, axes, 0, start, end, _colour(random), int(random.integers(1, 3)), cv2.LINE_AA)
    noise = random.integers(-9, 10, (size, size, 3), np.int16)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def _colour(random: np.random.Generator) -> tuple[float, float, float]:
    """A pale colour of any hue: vivid ones are for the objects."""
    red, green, blue = colorsys.hsv_to_rgb(random.random(), random.uniform(0.0, 0.6), random.uniform(0.2, 0.95))
    return 255 * red, 255 * green, 255 * blue
