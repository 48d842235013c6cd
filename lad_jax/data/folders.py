"""Files of pictures that names, folders and patterns mean, and what is left aside."""

import glob
import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from lad_jax.data.pictures import SUFFIXES
from lad_jax.errors import InputError
from lad_jax.paths import local_path, why_missing

VIDEOS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")
"""Suffixes of videos."""

_log = logging.getLogger(__name__)


def find_pictures(sources: Sequence[str]) -> list[Path]:
    """Picture files that file names, folders and glob patterns mean, each once, those of a source sorted.

    What a folder or a pattern has beside pictures is left aside and counted in the log; a file that is named itself is
    taken whatever its suffix.

    Raises:
      InputError: a source has no picture, or is a video; or there is none.
    """
    if not sources:
        raise InputError("no pictures are given: name them, a folder or a pattern by --images.")
    found: dict[str, Path] = {}
    for source in sources:
        for file in _pictures_of(source):
            found.setdefault(os.path.abspath(file), file)
    return list(found.values())


def list_files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files with one of these suffixes, sorted; what has one and is hidden or no file is counted in the log."""
    if not folder.is_dir():
        return []
    files, aside = _sort_out((file for file in folder.iterdir() if file.suffix.lower() in suffixes), suffixes)
    if aside:
        _log.info("%s: left aside %s", folder, _counts(aside))
    return files


def missing_files(folder: Path, names: Sequence[str]) -> list[str]:
    """The names, paths below a folder, that are no files there.

    Each folder is listed once: asking for each of 100,000 files takes minutes.
    """
    paths = {name: os.path.normpath(name) for name in names}
    present = {
        os.path.join(parent, entry.name)
        for parent in {os.path.dirname(path) for path in paths.values()}
        if os.path.isdir(folder / parent)
        for entry in os.scandir(folder / parent)
        if entry.is_file()  # the listing says so; a link alone is asked for
    }
    return [name for name in names if paths[name] not in present]


def _pictures_of(source: str) -> list[Path]:
    path = Path(local_path(source, "--images"))
    if path.is_file():
        if path.suffix.lower() in VIDEOS:
            raise InputError(
                f"{path} is a video: take pictures from it first, for example by `ffmpeg -i {path} frames/%06d.png`."
            )
        return [path]
    files, aside = _sort_out(path.iterdir() if path.is_dir() else _matches(str(path)), SUFFIXES)
    if not files:
        kinds = f"a file, a folder with {', '.join(SUFFIXES)}, or a pattern in quotes"
        besides = f", but {_counts(aside)}" if aside else ""
        raise InputError(f"no picture found at {source!r}{besides}: give {kinds}. {_hint(path)}".rstrip())
    if aside:
        _log.info("%s: left aside %s", source, _counts(aside))
    return files


def _matches(pattern: str) -> Iterable[Path]:
    """Files that match a pattern; where none does, brackets in it are taken for letters of a name."""
    found = glob.glob(pattern, recursive=True) or glob.glob(pattern.replace("[", "[[]"), recursive=True)
    return map(Path, found)


def _hint(path: Path) -> str:
    """What is there in the place of a path that is not, if anything."""
    if path.exists():
        return ""
    absolute = Path(os.path.abspath(path))
    there = why_missing(Path(absolute.anchor), str(absolute.relative_to(absolute.anchor)))
    brackets = "In a pattern [ab] means a or b: write [[] for a bracket." if "[" in str(path) else ""
    return there or brackets


def _sort_out(candidates: Iterable[Path], suffixes: Sequence[str]) -> tuple[list[Path], Counter[str]]:
    """The files that are taken, sorted, and the number of others by kind."""
    kinds = {file: _kind(file, suffixes) for file in sorted(candidates)}
    return [file for file, kind in kinds.items() if not kind], Counter(filter(None, kinds.values()))


def _kind(file: Path, suffixes: Sequence[str]) -> str:
    """Kind of what is no file with one of these suffixes; empty for such a file."""
    if file.is_dir():
        return "folders"
    if file.name.startswith("."):
        return "hidden files"
    if not file.exists():
        return "links to nothing"
    suffix = file.suffix.lower()
    if not file.is_file():
        return "devices or pipes"
    return "" if suffix in suffixes else f"{suffix} (video)" if suffix in VIDEOS else suffix or "without suffix"


def _counts(kinds: Counter[str]) -> str:
    return ", ".join(f"{kind}: {count}" for kind, count in sorted(kinds.items()))
