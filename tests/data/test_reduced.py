"""Pictures decoded at a fraction of their size: in place to less than a pixel, of exact sizes, and only where asked."""

import dataclasses
import json

import cv2
import numpy as np
import pytest

from lad_jax.data import make_plan
from lad_jax.data.augment import Augmentation
from lad_jax.data.coco import CocoFolder
from lad_jax.data.loader import make_batch
from lad_jax.data.pictures import decode_picture, picture_size, read_picture
from lad_jax.data.transforms import reduction
from lad_jax.data.views import whole_view
from lad_jax.errors import InputError
from tests.data.test_jpeg import KINDS, cut_out, encode, insert, overwrite
from tests.data.test_loader import FOLDER, assert_same
from tests.data.test_pictures import CMYK_JPEG, with_orientation


def waves(height, width):
    """A smooth picture, periods of 64 pixels and more, no two corners alike."""
    y, x = np.mgrid[:height, :width]
    red, green = np.sin(x / 11), np.cos(y / 13)
    return (
        127 + 60 * np.stack([red, green, red * green], axis=-1) + 60 * (x + y)[..., None] / (height + width)
    ).astype(np.uint8)


def area_mean(picture, hw):
    """Mean of the picture over the area of each pixel of a smaller one, by two products with matrices of overlaps."""

    def overlaps(n, m):
        edges = np.arange(m + 1) * n / m
        low, high = np.maximum(edges[:-1, None], np.arange(n)), np.minimum(edges[1:, None], np.arange(n) + 1)
        return np.clip(high - low, 0, None) * m / n

    rows, columns = (overlaps(n, m) for n, m in zip(picture.shape, hw, strict=False))
    return np.tensordot(columns, np.tensordot(rows, picture, 1), (1, 1)).transpose(1, 0, 2)


def folder(path, picture, *, orientation=1, recorded=None, suffix=".jpg"):
    """A data set of one picture with a box."""
    file = path / f"p{suffix}"
    cv2.imwrite(str(file), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95] if suffix == ".jpg" else [])
    if orientation > 1:
        with_orientation(file, orientation)
    height, width = recorded or read_picture(file).shape[:2]
    images = [{"id": 1, "file_name": file.name, "height": height, "width": width}]
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0.25 * width, 0.25 * height, 90, 90], "area": 8100}
    content = {"images": images, "annotations": [box], "categories": [{"id": 1, "name": "x"}]}
    (path / "a.json").write_text(json.dumps(content))
    return CocoFolder(str(path), str(path / "a.json"))


def mirrored(dataset, options):
    """A batch of the one picture, mirrored."""
    plan = make_plan(dataset, options, batch_size=1, seed=0)
    view = whole_view(np.array(dataset.read(0).shape[:2]), options, short_side=options.short_side)
    return make_batch(dataset, plan.step(0), plan.max_objects, options, lambda *_: Augmentation(view, flip=True))


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(
    ("hw", "short_side", "factor"),
    [
        ((384, 512), 193, 1),
        ((384, 512), 192, 2),
        ((388, 516), 97, 4),
        ((516, 388), 95, 4),
        ((600, 808), 70, 8),
        ((601, 808), 70, 1),
        ((386, 514), 50, 2),  # by more than 4, which does not divide them
    ],
)
def test_a_batch_differs_in_pixels_alone_which_are_nearly_means(tmp_path, hw, short_side, factor, orientation):
    dataset = folder(tmp_path, waves(*hw), orientation=orientation)
    options = dataclasses.replace(FOLDER, short_side=short_side, long_side=1333)
    whole, reduced = mirrored(dataset, options), mirrored(dataset, dataclasses.replace(options, decode_reduced=True))
    images = reduced.pictures.images
    assert_same(whole, reduced._replace(pictures=reduced.pictures._replace(images=whole.pictures.images)))
    shown = whole.pictures.image_hw[0]
    assert reduction(np.array(dataset.read(0).shape[:2]), shown) == factor
    height, width = shown.tolist()
    expected = area_mean(dataset.read(0), (height, width))[:, ::-1]
    error = np.abs(images[0, :height, :width] - expected)
    assert error.mean() < 1.5 and error.max() < 9
    assert not images[0, height:].any() and not images[0, :, width:].any()


@pytest.mark.parametrize(
    ("original", "shown", "factor"),
    [
        ((1500, 2000), (800, 1067), 1),  # 1.875
        ((1599, 2400), (800, 1200), 1),
        ((1600, 2400), (800, 1200), 2),
        ((3000, 4000), (800, 1067), 2),  # 3.75
        ((3200, 4264), (800, 1067), 2),  # the width by less than 4
        ((3200, 4268), (800, 1067), 4),
        ((9000, 12000), (800, 1067), 8),
        ((480, 640), (800, 1067), 1),
        ((3000, 4001), (800, 1067), 1),
        ((6002, 8000), (800, 1066), 2),
        ((6004, 8000), (800, 1066), 4),
    ],
)
def test_no_picture_is_enlarged_from_a_smaller_one_and_no_cell_is_cut(original, shown, factor):
    assert reduction(np.array(original), np.array(shown)) == factor


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_gray_becomes_rgb(factor):
    data = cv2.imencode(".jpg", waves(64, 96)[..., 0])[1].tobytes()
    small = decode_picture(data, "p", factor)
    assert small.shape == (64 // factor, 96 // factor, 3) and (small == small[..., :1]).all()


def test_cmyk_has_the_colours_of_the_whole():
    whole, small = decode_picture(CMYK_JPEG, "p"), decode_picture(CMYK_JPEG, "p", 4)
    np.testing.assert_allclose(small.astype(int), whole[2::4, 2::4], atol=3)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp"])
def test_other_formats_stay_whole(suffix):
    picture = waves(48, 80)
    data = cv2.imencode(suffix, picture, [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == ".webp" else [])[1].tobytes()
    np.testing.assert_array_equal(decode_picture(data, "p", 4), picture[..., ::-1])


def test_a_picture_whose_header_pillow_cannot_read_stays_whole(tmp_path):
    dataset = folder(tmp_path, waves(48, 80).astype(np.int16) * 100, suffix=".tif")
    with pytest.raises(InputError):
        picture_size((tmp_path / "p.tif").read_bytes(), "p")
    np.testing.assert_array_equal(dataset.read(0, 2), dataset.read(0))


@pytest.mark.parametrize("damage", [cut_out, overwrite, insert, lambda data: data[: len(data) // 2]])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("factor", [2, 8])
def test_damage_is_named_as_in_a_whole_picture(kind, damage, factor):
    data = damage(encode(kind))
    messages = []
    for reduced in (1, factor):
        with pytest.raises(InputError) as caught:
            decode_picture(data, "in.jpg", reduced)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize(
    ("actual", "recorded", "factor", "suffix"),
    [
        ((384, 512), (300, 512), 4, ".jpg"),
        ((384, 512), (512, 384), 4, ".jpg"),
        ((384, 512), (192, 256), 4, ".jpg"),
        ((384, 512), (192, 256), 2, ".jpg"),  # what is decoded is of the recorded size
        ((383, 511), (384, 512), 2, ".jpg"),  # what is decoded is as large as if the picture were of the recorded size
        ((377, 505), (384, 512), 8, ".jpg"),
        ((192, 256), (384, 512), 2, ".png"),
    ],
)
def test_a_wrong_size_in_the_annotations_is_named_by_the_whole_pictures(tmp_path, actual, recorded, factor, suffix):
    dataset = folder(tmp_path, waves(*actual), recorded=recorded, suffix=suffix)
    with pytest.raises(InputError, match=f"is {actual[1]}x{actual[0]} pixels.* says {recorded[1]}x{recorded[0]}"):
        dataset.read(0, factor)
