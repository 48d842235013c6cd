"""The file of an exported detector: a zip archive of a description, the weights, and a program for each canvas.

    detector.json   a format's number, the fields of `Description`, and the SHA-256 of each other member
    weights.npz     the arrays that every program takes as its first argument, by name
    HxW.bin         the program for pictures on a canvas of H x W pixels, as `jax.export` serialises it

Members are stored without compression: numbers of weights hardly get smaller by it.
"""

import hashlib
import io
import json
import zipfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lad_jax.config import from_config
from lad_jax.errors import InputError, reason_of

FORMAT = 1
"""Number of the format that is written, and the largest that is read."""
DESCRIPTION, WEIGHTS = "detector.json", "weights.npz"


@dataclass(frozen=True)
class Description:
    """Facts about an exported detector."""

    class_names: tuple[str, ...]
    """Names of the classes by label."""
    category_ids: tuple[int, ...]
    """Ids of the classes by label, as in the annotations of the training data."""
    canvases: tuple[tuple[int, int], ...]
    """Height and width of the pictures that there are programs for, padding included [pixels]."""
    short_side: int
    """Bound of the shorter side of a resized picture [pixels]."""
    long_side: int
    """Bound of the longer side of a resized picture [pixels]."""
    score_threshold: float
    """Lower bound of the score of a detection."""
    max_detections: int
    """Largest number of detections of a picture."""
    batch_size: int
    """Number of pictures that share a batch by default; programs take any number."""
    lad_jax: str
    """Version of lad_jax that wrote the file."""
    jax: str
    """Version of jax that made the programs."""


class Content(NamedTuple):
    """All that an exported detector's file holds."""

    description: Description
    weights: dict[str, np.ndarray]
    programs: dict[tuple[int, int], bytes]
    """Serialised programs by canvas."""


def pack(content: Content) -> bytes:
    """The file of an exported detector."""
    weights = io.BytesIO()
    np.savez(weights, **dict[str, Any](content.weights))  # Any: a type checker takes the names for options of savez
    programs = {_member(canvas): program for canvas, program in content.programs.items()}
    members = {WEIGHTS: weights.getvalue(), **programs}
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    description = {"format": FORMAT, **asdict(content.description), "sha256": sums}
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, data in {DESCRIPTION: json.dumps(description, indent=1).encode(), **members}.items():
            file.writestr(zipfile.ZipInfo(name), data)
    return archive.getvalue()


def unpack(path: Path) -> Content:
    """The content of an exported detector's file.

    Raises:
      InputError: the file is of another kind or of a newer version, cut off, or damaged.
    """
    try:
        with zipfile.ZipFile(path) as file:
            return _content(file, path)
    except InputError:
        raise
    except Exception as error:  # zipfile, json and numpy raise many kinds for a damaged file
        raise InputError(
            f"{path} is no exported detector, or is cut off or damaged: copy it again, or export it again "
            f"(python -m lad_jax export). Reason: {reason_of(error)}"
        ) from error


def _content(file: zipfile.ZipFile, path: Path) -> Content:
    values = json.loads(file.read(DESCRIPTION))
    number, sums = values.pop("format"), values.pop("sha256")
    if number > FORMAT:
        raise InputError(
            f"{path} was exported by a newer lad_jax (format {number}, not {FORMAT}): pip install -U lad-jax."
        )
    if lacking := [field.name for field in fields(Description) if field.name not in values]:
        raise InputError(f"{path} is no exported detector: its {DESCRIPTION} lacks {', '.join(lacking)}.")
    description = from_config(Description, values, key=f"{path}: {DESCRIPTION}")

    def read(name: str) -> bytes:
        data = file.read(name)
        if hashlib.sha256(data).hexdigest() != sums[name]:
            raise InputError(f"{path} is damaged: {name} has another SHA-256 than {DESCRIPTION} says. Copy it again.")
        return data

    with np.load(io.BytesIO(read(WEIGHTS)), allow_pickle=False) as arrays:
        weights = dict(arrays)
    return Content(description, weights, {canvas: read(_member(canvas)) for canvas in description.canvases})


def _member(canvas: tuple[int, int]) -> str:
    """Name of the member of a canvas's program."""
    return f"{canvas[0]}x{canvas[1]}.bin"
