"""A file from the web is whole or absent, whatever the server does; what has arrived is not fetched again."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from lad_jax.errors import InputError
from lad_jax.weights.download import download
from tests.weights.web import Web, serve

OLD, NEW = (np.random.default_rng(seed).bytes(3_000_000) for seed in range(2))
SHA256 = hashlib.sha256(NEW).hexdigest()


@pytest.fixture
def web() -> Iterator[Web]:
    with serve({"a.pth": NEW}) as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.pth"


def part_of(file: Path) -> Path:
    return file.with_name("a.pth.part")


def fetch_a_part(web: Web, file: Path, size: int) -> None:
    """Leave the first bytes of the file behind, as a connection that ends does."""
    web.ends_after = size
    with pytest.raises(InputError, match=rf"a\.pth could not be fetched: .*{3_000_000 - size}"):
        download(f"{web.url}/a.pth", file, SHA256)
    assert not file.exists() and part_of(file).stat().st_size == size
    web.ends_after = None


@pytest.mark.parametrize("address", ["a.pth", "moved/a.pth", "moved/moved/a.pth"])
def test_whole(address: str, web: Web, file: Path) -> None:
    download(f"{web.url}/{address}", file, SHA256[:8])
    assert file.read_bytes() == NEW and not part_of(file).exists()


def test_cut_off_and_gone_on_with(web: Web, file: Path) -> None:
    fetch_a_part(web, file, 1_200_000)
    download(f"{web.url}/moved/a.pth", file, SHA256)
    assert file.read_bytes() == NEW
    assert web.requests[-1] == "a.pth bytes=1200000-"


def test_a_server_that_gives_no_parts(web: Web, file: Path) -> None:
    fetch_a_part(web, file, 1_200_000)
    web.ranges = False
    download(f"{web.url}/a.pth", file, SHA256)
    assert file.read_bytes() == NEW and len(web.requests) == 2


@pytest.mark.parametrize("left", [NEW, NEW + b"more"], ids=["whole", "longer"])
def test_what_was_left_lacks_nothing(left: bytes, web: Web, file: Path) -> None:
    """A kill came before the file had its name; or another file was there."""
    part_of(file).write_bytes(left)
    download(f"{web.url}/a.pth", file, SHA256)
    assert file.read_bytes() == NEW and web.requests[0] == f"a.pth bytes={len(left)}-"


def test_a_file_that_has_changed_between_its_parts(web: Web, file: Path) -> None:
    web.files["a.pth"] = OLD
    fetch_a_part(web, file, 1_200_000)
    web.files["a.pth"] = NEW
    download(f"{web.url}/a.pth", file, SHA256)
    assert file.read_bytes() == NEW
    assert web.requests == ["a.pth", "a.pth bytes=1200000-", "a.pth"]


@pytest.mark.parametrize("content", [NEW[:-1] + b"!", OLD, b"<html>Please log in</html>", b""])
def test_other_bytes_are_never_kept(content: bytes, web: Web, file: Path) -> None:
    web.files["a.pth"] = content
    message = f"has {len(content)} bytes and the SHA-256 {hashlib.sha256(content).hexdigest()}, which should begin with"
    for left in (False, True):
        if left:
            part_of(file).write_bytes(NEW[:9])
        with pytest.raises(InputError, match=f"{message} {SHA256[:8]}"):
            download(f"{web.url}/a.pth", file, SHA256[:8])
        assert not file.exists() and not part_of(file).exists()


def test_what_is_not_there(web: Web, file: Path) -> None:
    with pytest.raises(InputError, match=r"/b\.pth could not be fetched: HTTPError: HTTP Error 404"):
        download(f"{web.url}/b.pth", file, SHA256)
    assert not part_of(file).exists()


def test_nobody_there(web: Web, file: Path) -> None:
    with serve({}) as gone:
        pass
    with pytest.raises(InputError, match=rf"{re.escape(gone.url)}/a\.pth could not be fetched: .*refused"):
        download(f"{gone.url}/a.pth", file, SHA256)


def test_several_at_once_fetch_it_once(web: Web, file: Path) -> None:
    threads = [Thread(target=download, args=(f"{web.url}/a.pth", file, SHA256)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.read_bytes() == NEW and web.requests == ["a.pth"]
