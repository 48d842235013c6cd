"""Files from the web: whole or absent, and never fetched twice from the beginning."""

import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path

from huggingface_hub.utils import WeakFileLock
from tqdm import tqdm

from lad_jax.errors import InputError, reason_of
from lad_jax.progress import activity
from lad_jax.weights.checksums import sha256_of

_TIMEOUT_S = 30.0
"""Longest time without a byte [s]."""
_CHUNK = 1 << 20
_RANGE_NOT_SATISFIABLE = 416


def download(url: str, path: Path, sha256: str) -> None:
    """Fetch a file. What a broken connection or a kill has left of it, `path` with `.part`, is gone on with.

    Of several processes one fetches, and the others wait.

    Args:
      url: address of the file; redirections are followed.
      path: place of the file, in a folder that is there.
      sha256: first digits of its SHA-256.

    Raises:
      InputError: the file cannot be fetched, or has another checksum; says why.
    """
    part = path.with_name(f"{path.name}.part")
    with WeakFileLock(path.with_name(f"{path.name}.lock")), activity(f"fetching {url}"):
        if path.exists():
            return
        resumed = part.exists()
        _fetch_rest(url, part)
        found = sha256_of(part)
        if resumed and not found.startswith(sha256):  # the beginning may be of a file that was there before
            part.unlink()
            _fetch_rest(url, part)
            found = sha256_of(part)
        if not found.startswith(sha256):
            size = part.stat().st_size
            part.unlink()
            raise InputError(
                f"{url} is another file than it was, or was changed on the way: it has {size} bytes and the SHA-256 "
                f"{found}, which should begin with {sha256}."
            )
        os.replace(part, path)


def _fetch_rest(url: str, part: Path) -> None:
    """Append to a file what it lacks; where the server gives files only whole, fetch it anew.

    Raises:
      InputError: it cannot be fetched; what has arrived is kept.
    """
    there = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={there}-"} if there else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            _write(answer, part, there if answer.status == http.client.PARTIAL_CONTENT else 0)
    except urllib.error.HTTPError as error:
        if not (there and error.code == _RANGE_NOT_SATISFIABLE):  # else nothing is lacking
            raise InputError(f"{url} could not be fetched: {reason_of(error)}.") from None
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise InputError(f"{url} could not be fetched: {reason_of(error)}.") from None


def _write(answer: http.client.HTTPResponse, part: Path, there: int) -> None:
    """Write what arrives behind the first `there` bytes of a file."""
    total = None if answer.length is None else there + answer.length
    bar = tqdm(total=total, initial=there, unit="B", unit_scale=True, desc=part.stem, disable=None)
    with bar, part.open("ab" if there else "wb") as file:
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            bar.update(len(chunk))
    if answer.length:
        raise ConnectionError(f"the connection ended {answer.length} bytes before the file")
