"""Paths that a user gives: expanded, checked, and compared with what is on the disk."""

import os
import re
import unicodedata
from pathlib import Path

from lad_jax.errors import InputError

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
"""Beginning of an address such as `gs://bucket`, which is no path of the file system."""
ZOO_PREFIX, HUB_PREFIX = "zoo:", "hf://"
"""Beginnings of the names of networks in the zoo and on the Hugging Face hub, which are no paths either."""
NAME_BYTES = 255
"""Largest length of a file's or folder's name on usual file systems [bytes]."""


def local_path(text: str, name: str) -> str:
    """A path of this machine's file systems, with `~` expanded.

    Args:
      text: the path as it was given.
      name: key or flag that gave it, for messages.

    Raises:
      InputError: the path is empty, an address with a scheme, or could not be any file's; or its `~` is of no user.
    """
    if not text:
        raise InputError(f"{name} is empty: give a path, or leave it out.")
    if text.startswith(ZOO_PREFIX):
        raise InputError(
            f"{name} is {text!r}, a published network, but must be a path here: `lad-jax convert` makes it a "
            f"workdir. A folder of that name is ./{text}."
        )
    if SCHEME.match(text):
        raise InputError(
            f"{name} is {text!r}, but only paths of the file system are read and written: fetch what is there, or "
            "mount it as a folder (docs/scaling.md says how several hosts share one)."
        )
    path = os.path.expanduser(text)
    first = path.split(os.sep)[0]
    if first.startswith("~") and not os.path.lexists(first):
        raise InputError(f"{name} is {text!r}, but there is no home folder of {first}: write ./{first} for that name.")
    if "\0" in path or any(len(os.fsencode(part)) > NAME_BYTES for part in path.split(os.sep)):
        raise InputError(f"{name} is {path[:60]!r}…: a file's name has at most {NAME_BYTES} bytes, and no zero byte.")
    return path


def is_published(source: str) -> bool:
    """Whether a source is the name of a network in the zoo or on a hub, and no path."""
    return source.startswith((ZOO_PREFIX, HUB_PREFIX))


def source_path(text: str, name: str) -> str:
    """A path, see `local_path`, where a network is read from; or the name of one in the zoo or on a hub, as it is."""
    return text if is_published(text) else local_path(text, name)


def cache_folder(name: str) -> Path:
    """Folder of this program for what can be had again, in `$XDG_CACHE_HOME`, else in `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "lad_jax" / name


def make_folder(path: Path, name: str) -> None:
    """Make a folder with those above it, where it is not there yet, and check that files can be written to it.

    Args:
      path: the folder.
      name: what it is, for messages: `workdir`.

    Raises:
      InputError: it cannot be made, or nothing can be written there.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "there is a file of that name" if isinstance(error, FileExistsError) else error.strerror
        raise InputError(f"{name} {path} cannot be made: {reason}. Give another path of a folder.") from None
    check_writable(path, name)


def check_writable(path: Path, name: str) -> None:
    """Check that files can be written to a folder that is there; else raise InputError."""
    if not os.access(path, os.W_OK | os.X_OK):
        raise InputError(f"{name} {path} cannot be written to: change its permissions, or take another folder.")


def why_missing(folder: Path, name: str) -> str:
    """Reason why a name is no file of a folder, by what is there in its place; empty where there is nothing like it.

    Args:
      folder: a folder.
      name: path below it, as it was given.
    """
    if os.path.islink(folder / name):
        return f"{name} is a link to {os.readlink(folder / name)}, which is not there."
    if os.path.isdir(folder / name):
        return f"{name} is a folder."
    there, plain = _spelled_alike(folder, name), name.replace("\\", "/")
    if there in ("", os.path.normpath(name)):
        return ""
    if there == os.path.normpath(plain):
        return f"There is {there!r}: write / where {name!r} has \\."
    if unicodedata.normalize("NFC", there) == unicodedata.normalize("NFC", os.path.normpath(plain)):
        return (
            f"There is {there!a}, which reads the same, but is spelled with other Unicode characters than "
            f"{name!a} (letters with accents are composed, NFC, or decomposed, NFD, as macOS writes them). Give "
            "both one form: `convmv -f utf8 -t utf8 --nfc -r --notest FOLDER` renames files to the composed one."
        )
    return f"There is {there!r}: write capitals and small letters as they are on the disk."


def _spelled_alike(folder: Path, name: str) -> str:
    """The path below a folder that differs from `name` in form or case of its letters, or by \\ for /; else empty."""
    found = Path()
    for part in Path(name.replace("\\", "/")).parts:
        try:
            names = os.listdir(folder / found)
        except OSError:
            return ""
        alike = [other for other in names if _form(other) == _form(part)]
        if not alike:
            return ""
        found /= part if part in alike else alike[0]
    return str(found)


def _form(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
