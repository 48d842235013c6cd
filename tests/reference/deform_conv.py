"""Literal twin of the modulated deformable convolution (spec 1.3): numpy, sample by sample, one picture."""

import numpy as np


def sample(x, py, px):
    """The map [H,W,C] at a place between its cells."""
    height, width, channels = x.shape
    value = np.zeros(channels)
    if not (-1 < py < height and -1 < px < width):
        return value
    top, left = int(np.floor(py)), int(np.floor(px))
    for v in (top, top + 1):
        for u in (left, left + 1):
            if 0 <= v < height and 0 <= u < width:
                value += (1 - abs(py - v)) * (1 - abs(px - u)) * x[v, u]
    return value


def deform_conv(x, offsets, masks, kernel, stride):
    """[h,w,O] of a map [H,W,C], offsets [h,w,9,2], masks [h,w,9] and a kernel [3,3,C/groups,O]."""
    height, width = masks.shape[:2]
    of_group, n_outputs = kernel.shape[2:]
    groups = x.shape[2] // of_group
    result = np.zeros((height, width, n_outputs))
    for y in range(height):
        for z in range(width):
            for i in range(3):
                for j in range(3):
                    dy, dx = offsets[y, z, 3 * i + j]
                    seen = masks[y, z, 3 * i + j] * sample(x, stride * y - 1 + i + dy, stride * z - 1 + j + dx)
                    for o in range(n_outputs):
                        first = o // (n_outputs // groups) * of_group
                        result[y, z, o] += seen[first : first + of_group] @ kernel[i, j, :, o]
    return result
