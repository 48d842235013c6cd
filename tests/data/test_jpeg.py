"""Damaged JPEG files: libjpeg decodes them all the same; they must be named, and whole ones must not."""

import os
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from lad_jax.data.opencv import with_stderr
from lad_jax.data.pictures import decode_picture
from lad_jax.errors import InputError

KINDS = {
    "sequential": [],
    "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
    "restart markers": [cv2.IMWRITE_JPEG_RST_INTERVAL, 4],
}


def encode(kind="sequential"):
    """A picture with detail everywhere, so that its scan is long."""
    pixels = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    return cv2.imencode(".jpg", cv2.GaussianBlur(pixels, (5, 5), 1), KINDS[kind])[1].tobytes()


def cut_out(data):
    return data[: len(data) // 2] + data[len(data) // 2 + 300 :]


def overwrite(data):
    noise = np.random.default_rng(1).integers(0, 255, 300, np.uint8).tobytes()
    return data[: len(data) // 2] + noise + data[len(data) // 2 + 300 :]


def insert(data):
    return data[: len(data) // 2] + data[len(data) // 3 : len(data) // 3 + 300] + data[len(data) // 2 :]


@pytest.mark.parametrize("damage", [cut_out, overwrite, insert])
@pytest.mark.parametrize("kind", KINDS)
def test_damage_within_is_named(kind, damage, capfd):
    data = damage(encode(kind))
    assert data.endswith(b"\xff\xd9") and cv2.imdecode(np.frombuffer(data, np.uint8), 1) is not None
    capfd.readouterr()
    with pytest.raises(InputError, match=r"picture in\.jpg is damaged \(.+\): fetch it again"):
        decode_picture(data, "in.jpg")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", KINDS)
def test_end_marker_alone_is_missing(kind, capfd):
    """Of a progressive one whole scans may be missing as well, which would leave it blurred."""
    data = encode(kind)
    if kind == "progressive":
        with pytest.raises(InputError, match="cut off"):
            decode_picture(data[:-2], "in.jpg")
    else:
        np.testing.assert_array_equal(decode_picture(data[:-2], "in.jpg"), decode_picture(data, "in.jpg"))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-2] + bytes(8) + data[-2:], "extraneous bytes before marker 0xd9"),
        (lambda data: data[:20] + bytes(5) + data[20:], "extraneous bytes before marker 0xdb"),
        (lambda data: data.replace(b"\x00\x3f\x00", b"\x00\x00\x00", 1), "invalid SOS parameters"),
    ],
)
def test_oddities_of_cameras_are_read_and_named(change, message, caplog, capfd):
    data = encode()
    assert change(data) != data
    np.testing.assert_array_equal(decode_picture(change(data), "in.jpg"), decode_picture(data, "in.jpg"))
    assert "picture in.jpg: " in caplog.text and message in caplog.text
    assert capfd.readouterr().err == ""


def test_threads_do_not_mix_up_their_pictures():
    files = [cut_out(encode()) if number % 3 else encode() for number in range(24)]

    def is_damaged(data):
        try:
            decode_picture(data, "in.jpg")
        except InputError:
            return True
        return False

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(is_damaged, files)) == [number % 3 > 0 for number in range(24)]


def test_what_others_write_meanwhile_is_passed_on(monkeypatch, capfd):
    """A progress bar without an end of line, too."""
    imdecode = cv2.imdecode

    def busy(*arguments):
        os.write(2, b"\r50%")
        picture = imdecode(*arguments)
        os.write(2, b"a line of another thread\n")
        return picture

    monkeypatch.setattr(cv2, "imdecode", busy)
    with pytest.raises(InputError, match="is damaged"):
        decode_picture(cut_out(encode()), "in.jpg")
    decode_picture(encode(), "in.jpg")
    assert capfd.readouterr().err == "\r50%a line of another thread\n" * 2


def test_what_opencv_itself_says_of_a_whole_picture_is_no_damage(monkeypatch, caplog, capfd):
    imdecode = cv2.imdecode

    def talking(*arguments):
        os.write(2, b"[ WARN:0@1.599] global exif.cpp:55 parse Odd tag\n")
        return imdecode(*arguments)

    monkeypatch.setattr(cv2, "imdecode", talking)
    assert decode_picture(encode(), "in.jpg").size
    assert caplog.messages == ["picture in.jpg: odd tag"]
    with pytest.raises(InputError, match=r"in\.jpg is damaged \((?!odd tag)"):
        decode_picture(cut_out(encode()), "in.jpg")
    assert capfd.readouterr().err == ""


def test_stderr_is_given_back(capfd):
    assert with_stderr(lambda: os.write(2, b"one")) == (3, "one")
    with pytest.raises(ZeroDivisionError):
        with_stderr(lambda: 1 / 0)
    os.write(2, b"two")
    assert capfd.readouterr().err == "two"
