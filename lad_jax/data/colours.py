"""Random changes of a picture's colours, all in one affine map of its channels."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

ColourMap = Float[np.ndarray, "3 4"]
"""A matrix and, in its last column, what is added [levels of 0…255], of red, green and blue."""
_YIQ = np.array([[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
"""From red, green and blue to luma and two axes of colour: gray has none of either (NTSC)."""
_GRAY = 127.5
"""The level that a change of contrast keeps."""
_BRIGHTNESS, _HUE = 64.0, 36.0
"""Bounds of the changes that strength 1 would have: of brightness [levels], and of hue [degrees]."""


def draw_colours(strength: float, random: np.random.Generator) -> ColourMap:
    """Draw a change of saturation, hue, contrast and brightness, each evenly; see `DataOptions.colour_jitter`."""
    contrast, saturation = random.uniform(1 - strength, 1 + strength, 2)
    brightness = random.uniform(-strength, strength) * _BRIGHTNESS
    hue = np.deg2rad(random.uniform(-strength, strength) * _HUE)
    return colour_map(contrast=contrast, saturation=saturation, brightness=brightness, hue=hue)


def colour_map(*, contrast: float, saturation: float, brightness: float, hue: float) -> ColourMap:
    """The map that changes colours, but for rounding and bounds; saturation and hue keep a pixel's luma, and gray.

    Args:
      contrast: factor of the distance from middle gray.
      saturation: factor of the distance from the gray of the same luma.
      brightness: what is added at last [levels].
      hue: angle that colours turn by, about gray [radians].
    """
    turn = saturation * np.array([[np.cos(hue), -np.sin(hue)], [np.sin(hue), np.cos(hue)]])
    in_yiq = np.block([[np.ones((1, 1)), np.zeros((1, 2))], [np.zeros((2, 1)), turn]])
    matrix = contrast * np.linalg.inv(_YIQ) @ in_yiq @ _YIQ
    return np.column_stack([matrix, np.full(3, brightness + (1 - contrast) * _GRAY)])


def recolour(picture: UInt8[np.ndarray, "h w 3"], colours: ColourMap) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with other colours, rounded and bounded to 0…255."""
    return cv2.transform(picture, colours)
