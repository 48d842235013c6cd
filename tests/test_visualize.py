"""Pictures: where what is drawn, in which colour."""

import os

import cv2
import numpy as np
import pytest

from lad_jax.errors import InputError
from lad_jax.priors import make_priors
from lad_jax.types import Assignment, GroundTruth
from lad_jax.visualize import (
    colour,
    draw_boxes,
    draw_priors,
    enlarge,
    readable_factor,
    side_by_side,
    stack,
    write_png,
)

GREY = np.full((300, 400, 3), 90, np.uint8)
NAMES = ("cat", "dog")
BOX = np.array([[60, 80, 160, 180]], np.float32)


def has(image, tone):
    """Where the image has exactly that colour."""
    return (image == np.array(tone)).all(axis=-1)


def test_box_lies_where_it_should_and_the_inside_stays():
    image = draw_boxes(GREY, BOX, np.array([1]), None, NAMES)
    drawn = has(image, colour(1))
    rows, columns = np.nonzero(drawn)
    assert (columns.min(), columns.max()) == (60, 159) and rows.max() == 179
    assert drawn[100:160, 60].all() and drawn[179, 70:150].all()
    assert (image[85:175, 65:155] == 90).all()
    assert (GREY == 90).all()


def test_name_stands_above_the_box_or_inside_the_picture():
    def tag_rows(top):
        box = np.array([[60, top, 160, 180]], np.float32)
        image = draw_boxes(GREY, box, np.array([0]), None, NAMES)
        return np.flatnonzero(has(image, colour(0))[:, 62])

    assert 60 < tag_rows(80).min() < 75
    assert tag_rows(0).min() == 0 and 9 < np.sum(tag_rows(0) < 20) < 20


def test_name_beyond_the_right_border_moves_inside():
    box = np.array([[390, 80, 400, 180]], np.float32)
    image = draw_boxes(GREY, box, np.array([0]), np.array([0.5], np.float32), NAMES)
    assert has(image, colour(0))[:79].any(axis=0).sum() > 40


def test_score_is_written_and_the_better_box_is_on_top():
    boxes, labels = np.repeat(BOX, 2, axis=0), np.array([0, 1])
    best_last = draw_boxes(GREY, boxes, labels, np.array([0.3, 0.9], np.float32), NAMES)
    best_first = draw_boxes(GREY, boxes, labels, np.array([0.9, 0.3], np.float32), NAMES)
    assert has(best_last, colour(1))[150, 60] and has(best_first, colour(0))[150, 60]
    plain = draw_boxes(GREY, BOX, np.array([1]), None, NAMES)
    assert has(best_last, colour(1))[:79].any(axis=0).sum() > has(plain, colour(1))[:79].any(axis=0).sum()


def test_no_boxes_change_nothing():
    empty = draw_boxes(GREY, np.zeros((0, 4), np.float32), np.zeros(0, int), np.zeros(0, np.float32), NAMES)
    np.testing.assert_array_equal(empty, GREY)


def test_the_colours_of_eighty_classes_differ():
    assert len({colour(i) for i in range(80)}) == 80
    near = [np.abs(np.subtract(colour(i), colour(i + k))).max() for i in range(80) for k in (1, 2)]
    assert min(near) > 100


def test_small_pictures_are_enlarged_by_an_integer():
    assert readable_factor(np.zeros((128, 96, 3), np.uint8)) == 4
    assert readable_factor(np.zeros((800, 1333, 3), np.uint8)) == 1
    assert enlarge(GREY, 3).shape == (900, 1200, 3)
    drawn = has(draw_boxes(GREY[:100, :128], BOX / 4, np.array([1]), None, NAMES), colour(1))
    assert drawn.shape == (400, 512) and drawn[100:160, 60].all() and drawn[179, 70:150].all()


def test_positives_are_dots_on_their_level_in_their_objects_colour():
    priors = make_priors((64, 64), (8, 16), 4.0)  # 64 and 16 priors
    boxes = np.array([[8, 8, 30, 30], [2, 40, 60, 60], [40, 2, 60, 20], [0, 0, 0, 0]], np.float32)
    truth = GroundTruth(boxes, np.zeros(4, np.int32), np.array([1, 1, 1, 0], bool), np.array([0, 0, 1, 0], bool))
    responsible = np.full(80, -1)
    fine, coarse = 3 * 8 + 2, 64 + 3 * 4 + 2  # centres (16, 24) and (32, 48)
    responsible[fine], responsible[coarse] = 0, 1
    target = (responsible >= 0).astype(np.float32)
    assignment = Assignment(responsible, np.ones(80, np.float32), target, np.array(1))
    image = np.full((64, 64, 3), 90, np.uint8)
    picture = draw_priors(image, priors, assignment, truth)

    factor = readable_factor(image)
    gap = (picture.shape[1] - 2 * 64 * factor) // 3
    top = len(picture) - 64 * factor
    fine_panel = picture[top:, gap : gap + 64 * factor]
    coarse_panel = picture[top:, 2 * gap + 64 * factor : 2 * gap + 128 * factor]
    first, second = (16 * factor, 24 * factor), (32 * factor, 48 * factor)
    assert has(fine_panel, colour(0))[first[::-1]] and not has(coarse_panel, colour(0))[first[::-1]]
    assert has(coarse_panel, colour(1))[second[::-1]] and not has(fine_panel, colour(1))[second[::-1]]
    for panel in (fine_panel, coarse_panel):  # every object on every level; neither the crowd nor the padding row
        assert has(panel, colour(0))[8 * factor, 20 * factor]
        assert has(panel, colour(1))[40 * factor, 50 * factor]
        assert not has(panel, colour(2)).any() and not has(panel, colour(3)).any()


def test_rows_and_columns_keep_every_picture():
    tones = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    images = [np.full((40 + 10 * i, 100 - 10 * i, 3), tone, np.uint8) for i, tone in enumerate(tones)]
    captions = ["a", "b", "a caption far too long for so small a picture"]
    row, column = side_by_side(images, captions), stack(images, captions)
    for whole in (row, column):
        assert [has(whole, tone).sum() for tone in tones] == [40 * 100, 50 * 90, 60 * 80]
    (y, x), (v, u) = (np.transpose([np.argwhere(has(whole, tone))[0] for tone in tones]) for whole in (row, column))
    assert len(set(y)) == 1 and list(x) == sorted(x) and len(set(u)) == 1 and list(v) == sorted(v)


def test_png_keeps_colours(tmp_path):
    image = draw_boxes(GREY, BOX, np.array([1]), None, NAMES)
    write_png(tmp_path / "new" / "a.png", image)
    stored = cv2.cvtColor(cv2.imread(str(tmp_path / "new" / "a.png")), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(stored, image)


def test_unwritable_png_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/a\.png"):
        write_png(tmp_path / "file" / "a.png", GREY)


def test_a_drawing_on_a_full_disk_is_whole_or_absent(tmp_path, monkeypatch):
    def refuse(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(InputError, match=r"cannot write the picture .*a\.png: No space left"):
        write_png(tmp_path / "a.png", GREY)
    assert not list(tmp_path.iterdir())
