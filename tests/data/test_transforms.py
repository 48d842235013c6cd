"""Pictures and boxes through resize and flip, on drawn rectangles; `tests/golden` has the reference's arrays."""

import numpy as np
import pytest

from lad_jax.data.transforms import clip_boxes, flip_boxes, flip_picture, has_area, resize, resized_hw

COLOUR = (250, 10, 130)


def draw(hw, box):
    picture = np.full((*hw, 3), 90, np.uint8)
    x1, y1, x2, y2 = box
    picture[y1:y2, x1:x2] = COLOUR
    return picture


def find(picture):
    """Extent of the pixels that are more the rectangle's colour than the background's."""
    mask = picture[..., 0] > (COLOUR[0] + 90) / 2
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1])


@pytest.mark.parametrize(
    ("hw", "expected"),
    [
        ((480, 640), (800, 1067)),  # the short side bounds: factor 5/3
        ((640, 480), (1067, 800)),
        ((400, 1000), (533, 1333)),  # the long side bounds: factor 1.333
        ((1600, 2666), (800, 1333)),
        ((1, 5000), (1, 1333)),  # never vanishes
    ],
)
def test_resized_size(hw, expected):
    assert tuple(resized_hw(np.array(hw), short_side=800, long_side=1333)) == expected


def test_resized_sizes_of_many_are_those_of_each():
    sizes = np.random.default_rng(0).integers(20, 3000, (500, 2))
    one_by_one = []
    for height, width in sizes.tolist():
        factor = min(1333 / max(height, width), 800 / min(height, width))
        one_by_one.append((int(height * factor + 0.5), int(width * factor + 0.5)))
    np.testing.assert_array_equal(resized_hw(sizes, short_side=800, long_side=1333), one_by_one)


@pytest.mark.parametrize("hw", [(75, 120), (160, 97)])
def test_boxes_follow_the_picture(hw):
    box = np.array([[20, 12, 61, 50]], np.float32)
    picture = draw(hw, box[0].astype(int))
    target = resized_hw(np.array(hw), short_side=200, long_side=260)
    resized, scaled = resize(picture, target), box * np.tile((target / hw)[::-1], 2).astype(np.float32)
    assert np.abs(find(resized) - scaled[0]).max() < 1
    flipped = flip_boxes(scaled, int(target[1]))
    assert np.abs(find(flip_picture(resized)) - flipped[0]).max() < 1
    assert np.abs(flipped - scaled).max() > 10


def test_flip_is_exact_and_its_own_inverse():
    picture = draw((30, 41), (3, 4, 17, 22))
    box = np.array([[3, 4, 17, 22]], np.float32)
    np.testing.assert_array_equal(find(flip_picture(picture)), flip_boxes(box, 41)[0])
    np.testing.assert_array_equal(flip_boxes(flip_boxes(box, 41), 41), box)
    np.testing.assert_array_equal(flip_picture(picture), picture[:, ::-1])


def test_clip():
    boxes = np.array([[-5, 3, 20, 90], [50, 10, 70, 20], [-9, 0, -1, 5], [1, 2, 3, 4]], np.float32)
    clipped = clip_boxes(boxes, np.array([60, 40]))
    np.testing.assert_array_equal(clipped, [[0, 3, 20, 60], [40, 10, 40, 20], [0, 0, 0, 5], [1, 2, 3, 4]])
    np.testing.assert_array_equal(has_area(clipped), [True, False, False, True])
    assert clipped.dtype == np.float32
