"""Decoding: every kind of file as OpenCV reads it, and no silent gray for a file that is cut off."""

import base64
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from lad_jax.data import read_picture
from lad_jax.data.pictures import picture_size
from lad_jax.errors import InputError

CMYK_JPEG = base64.b64decode(
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwANCQoLCggNCwoLDg4NDxMgFRMSEhMnHB4XIC4pMTAuKS0sMzpKPjM2RjcsLUBXQUZMTlJTUjI+WmFaUGBK"
    "UVJP/8AAFAgAEAAQBEMRAE0RAFkRAEsRAP/EABYAAQEBAAAAAAAAAAAAAAAAAAAHBv/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAOBEMATQBZAEsAAD8A"
    "ySnKcoQAvYkYAP/Z"
)
"""16x16, the upper half cyan 200, the lower yellow 150, all with black 20: no writer of OpenCV makes these."""


@pytest.fixture
def pixels():
    """A smooth picture, so that JPEG keeps it; no two corners alike."""
    y, x = np.mgrid[:48, :80]
    return np.stack([x * 3, y * 5, 255 - x - y], axis=-1).astype(np.uint8)


def save(path, rgb, *options):
    assert cv2.imwrite(str(path), rgb[..., ::-1], options)
    return path


def palette_png(indices, palette):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = indices.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in indices))
    chunks = chunk(b"IHDR", header) + chunk(b"PLTE", palette.tobytes()) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def with_orientation(path, orientation):
    """Insert an EXIF segment that says how to turn the picture."""
    tiff = b"II*\0" + struct.pack("<I", 8) + struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)
    segment = b"Exif\0\0" + tiff
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:])


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda p: p),
        (2, lambda p: p[:, ::-1]),
        (3, lambda p: p[::-1, ::-1]),
        (6, lambda p: np.rot90(p, k=-1)),  # stored lying on its left side
        (8, lambda p: np.rot90(p)),
    ],
)
def test_exif_orientation_is_applied(tmp_path, pixels, orientation, turn):
    path = save(tmp_path / "p.jpg", pixels)
    plain = read_picture(path)
    with_orientation(path, orientation)
    np.testing.assert_array_equal(read_picture(path), turn(plain))
    assert np.abs(plain.astype(int) - pixels).mean() < 4  # RGB, not BGR


@pytest.mark.parametrize("orientation", range(9))
def test_size_is_known_from_the_header(tmp_path, pixels, orientation):
    path = save(tmp_path / "p.jpg", pixels)
    with_orientation(path, orientation)
    height, width, _ = read_picture(path).shape
    assert picture_size(path.read_bytes()[:-100], "p") == (height, width)
    assert ((height, width) == pixels.shape[:2]) == (orientation < 5)


def test_gray_becomes_rgb(tmp_path, pixels):
    for name in ("gray.jpg", "gray.png"):
        cv2.imwrite(str(tmp_path / name), pixels[..., 0])
        picture = read_picture(tmp_path / name)
        assert picture.shape == pixels.shape
        assert np.abs(picture.astype(int) - pixels[..., :1]).max() < 8


def test_palette_becomes_rgb(tmp_path):
    random = np.random.default_rng(0)
    indices, palette = random.integers(0, 7, (9, 14), np.uint8), random.integers(0, 255, (7, 3), np.uint8)
    (tmp_path / "p.png").write_bytes(palette_png(indices, palette))
    np.testing.assert_array_equal(read_picture(tmp_path / "p.png"), palette[indices])


def test_cmyk_becomes_rgb(tmp_path):
    (tmp_path / "p.jpg").write_bytes(CMYK_JPEG)
    picture = read_picture(tmp_path / "p.jpg")
    light = (255 - 20) / 255
    assert picture.shape == (16, 16, 3)
    assert np.abs(picture[2, 4] - np.array([55, 255, 255]) * light).max() < 5
    assert np.abs(picture[13, 4] - np.array([255, 255, 105]) * light).max() < 5


def test_alpha_is_dropped(tmp_path, pixels):
    alpha = np.random.default_rng(0).integers(0, 255, (*pixels.shape[:2], 1), np.uint8)
    cv2.imwrite(str(tmp_path / "p.png"), np.concatenate([pixels[..., ::-1], alpha], axis=-1))
    np.testing.assert_array_equal(read_picture(tmp_path / "p.png"), pixels)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_alpha_of_tiff_is_dropped_as_that_of_png(tmp_path, pixels, orientation):
    """OpenCV multiplies a TIFF's colours by it."""
    alpha = np.random.default_rng(0).integers(0, 255, (*pixels.shape[:2], 1), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("p.tif", "p.png"):
        Image.fromarray(np.concatenate([pixels, alpha], axis=-1)).save(tmp_path / name, exif=exif)
    np.testing.assert_array_equal(read_picture(tmp_path / "p.tif"), read_picture(tmp_path / "p.png"))


@pytest.mark.parametrize("separate", [False, True])
def test_of_an_animated_png_the_still_picture_is_taken(tmp_path, pixels, separate):
    """As by viewers without animation, also where it is none of the animation's."""
    still, other, third = (Image.fromarray(np.roll(pixels, shift, axis=1)) for shift in (0, 20, 40))
    still.save(tmp_path / "p.png", save_all=True, append_images=[other, third], default_image=separate)
    np.testing.assert_array_equal(read_picture(tmp_path / "p.png"), pixels)


def test_progressive_jpeg(tmp_path, pixels):
    plain = read_picture(save(tmp_path / "p.jpg", pixels))
    progressive = read_picture(save(tmp_path / "q.jpg", pixels, cv2.IMWRITE_JPEG_PROGRESSIVE, 1))
    np.testing.assert_array_equal(progressive, plain)


def test_sixteen_bits_become_eight(tmp_path, pixels):
    np.testing.assert_array_equal(read_picture(save(tmp_path / "deep.png", pixels.astype(np.uint16) * 257)), pixels)


@pytest.mark.parametrize("name", ["p.png", "p.tif"])
@pytest.mark.parametrize("gray", [False, True])
def test_twelve_bits_in_sixteen_are_an_error(tmp_path, pixels, name, gray):
    deep = (pixels[..., 0] if gray else pixels).astype(np.uint16) * 16
    cv2.imwrite(str(tmp_path / name), deep)
    with pytest.raises(InputError, match=rf"{name} has 16 bits a channel, but no value above 4095"):
        read_picture(tmp_path / name)
    for value in (0, 5000):  # black, and dark
        cv2.imwrite(str(tmp_path / name), np.full_like(deep, value))
        assert (read_picture(tmp_path / name) == value // 256).all()


@pytest.mark.parametrize("damage", [lambda d: d[:-1], lambda d: d[:500] + d[600:]])
def test_damaged_webp_is_an_error_where_it_shows(tmp_path, damage):
    noise, path = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8), tmp_path / "p.webp"
    Image.fromarray(noise).save(path, lossless=True)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"cannot decode picture .*p\.webp"):
        read_picture(path)


def test_what_tiff_could_not_read_is_an_error(tmp_path):
    noise, path = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8), tmp_path / "p.tif"
    Image.fromarray(noise).save(path, compression="tiff_lzw")
    path.write_bytes(path.read_bytes()[:2000] + b"\xff" * 100 + path.read_bytes()[2100:])
    with pytest.raises(InputError, match=r"p\.tif is damaged \(using code not yet in table\): fetch it again"):
        read_picture(path)


def test_a_damaged_jpeg_within_a_tiff_is_an_error(tmp_path):
    noise, path = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8), tmp_path / "p.tif"
    Image.fromarray(noise).save(path, compression="jpeg")
    data = path.read_bytes()
    path.write_bytes(data[:1000] + bytes(range(40)) + data[1040:])
    with pytest.raises(InputError, match=r"p\.tif is damaged \(.*Corrupt JPEG data.*\): fetch it again"):
        read_picture(path)


def test_a_decoders_warning_bears_the_pictures_name(tmp_path, pixels, caplog, capfd):
    path = save(tmp_path / "p.png", pixels)
    colours = b"iCCPbad\0\0xx"
    chunk = struct.pack(">I", len(colours) - 4) + colours + struct.pack(">I", zlib.crc32(colours))
    path.write_bytes(path.read_bytes()[:33] + chunk + path.read_bytes()[33:])
    np.testing.assert_array_equal(read_picture(path), pixels)
    assert caplog.messages == [f"picture {path}: iCCP: too short"]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["p.jpg", "p.png"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
def test_cut_off_file_is_an_error(tmp_path, pixels, name, share):
    noise = np.random.default_rng(0).integers(0, 255, pixels.shape, np.uint8)
    path = save(tmp_path / name, noise)
    data = path.read_bytes()
    cut = data[: int(len(data) * share)]
    path.write_bytes(cut)
    with pytest.raises(InputError, match=f"{name} is cut off after {len(cut)} bytes"):
        read_picture(path)
    path.write_bytes(cut + bytes(len(data) - len(cut)))  # as a download that reserved its space
    with pytest.raises(InputError, match="is cut off"):
        read_picture(path)


def test_end_marker_of_a_thumbnail_does_not_count(tmp_path, pixels):
    path = save(tmp_path / "p.jpg", pixels)
    data = path.read_bytes()
    thumbnail = b"\xff\xe2" + struct.pack(">H", 8) + b"ab\xff\xd9cd"
    path.write_bytes(data[:2] + thumbnail + data[2:])
    np.testing.assert_array_equal(read_picture(path).shape, pixels.shape)
    path.write_bytes(data[:2] + thumbnail + data[2:-100])
    with pytest.raises(InputError, match="is cut off"):
        read_picture(path)


@pytest.mark.parametrize("name", ["p.jpg", "p.png"])
def test_bytes_after_the_end_are_allowed(tmp_path, pixels, name):
    path = save(tmp_path / name, pixels)
    before = read_picture(path)
    path.write_bytes(path.read_bytes() + b"camera's own notes" * 50)
    np.testing.assert_array_equal(read_picture(path), before)


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read picture .*none\.jpg: No such file"):
        read_picture(tmp_path / "none.jpg")
    for name, data in {"empty.jpg": b"", "text.jpg": b"<html>404</html>" * 20}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=rf"cannot decode picture .*{name} \({len(data)} bytes\)"):
            read_picture(tmp_path / name)
