"""The files of a run's recording: `report/scenes.npz`, its pictures; `report/STEP.npz`, one for each evaluation; and
`report/errors.json`, what the detector got wrong in the last one.

One of arrays has a header, which is JSON, and for each picture arrays by name; those of all pictures are joined along
their first axis. It is written whole, so that a kill leaves the old file or the new one.
"""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lad_jax.errors import InputError, reason_of
from lad_jax.files import replacing

VERSION = 1
HEADER, LENGTHS = "header", "/lengths"
"""Name of the header's array, and the end of those with the pictures' numbers of rows."""
Header = dict[str, Any]
Arrays = dict[str, np.ndarray]
"""Arrays of one picture, by name. Of its scene:

* `boxes` [n, 4] and `labels`, `crowd` [n]: the objects, on the resized picture;
* `jpeg` [bytes]: the resized picture.

Of an evaluation, for N entries, P positives, D detections:

* `prior`, `object` [N]: pairs that may be positive, by object and, in a table of pairs, by cost; `source` [N]: index
  in the header's `costs_from` of the network whose cost counts;
* `cost/NETWORK` [N] in float16, NaN where it is not finite; `besides/NAME` [N]: the assigner's reasons by entry;
* `positive/prior`, `positive/object`, `positive/target` [P]: the assignment;
* `n_candidates`, `threshold` [n]: of each object, and its largest positive cost, NaN for none; `reason/NAME` [n, …]:
  the assigner's reasons by object;
* `alone/NETWORK/…`: the three lines before, by that network's costs alone;
* `detection/boxes` [D, 4], `detection/labels`, `detection/scores` [D]: on the resized picture.
"""


def folder_of(workdir: Path) -> Path:
    """The folder of a run's recording."""
    return workdir / "report"


def scenes_file(workdir: Path) -> Path:
    """The file of the recorded pictures."""
    return folder_of(workdir) / "scenes.npz"


def step_file(workdir: Path, step: int) -> Path:
    """The file of the evaluation after a step."""
    return folder_of(workdir) / f"{step}.npz"


def errors_file(workdir: Path) -> Path:
    """The file of the errors of the last evaluation, on all pictures."""
    return folder_of(workdir) / "errors.json"


def recorded_steps(workdir: Path) -> list[int]:
    """Steps whose evaluations are recorded, rising."""
    return sorted(int(file.stem) for file in folder_of(workdir).glob("[0-9]*.npz") if file.stem.isdecimal())


def drop_after(workdir: Path, step: int) -> None:
    """Delete what is recorded of later steps: the run goes on from an earlier one."""
    for later in recorded_steps(workdir):
        if later > step:
            step_file(workdir, later).unlink()


def write(file: Path, header: Header, pictures: Sequence[Arrays]) -> None:
    """Write a file of a recording.

    Args:
      file: its path; the folder is made.
      header: JSON values; `version` is added.
      pictures: arrays of each picture, by the same names.
    """
    text = json.dumps({**header, "version": VERSION})
    arrays: dict[str, Any] = {HEADER: np.frombuffer(text.encode(), np.uint8)}
    for name in pictures[0] if pictures else ():
        arrays[name] = np.concatenate([picture[name] for picture in pictures])
        arrays[name + LENGTHS] = np.array([len(picture[name]) for picture in pictures], np.int32)
    file.parent.mkdir(exist_ok=True)
    with replacing(file) as stream:
        np.savez_compressed(stream, **arrays)


def read(file: Path) -> tuple[Header, list[Arrays]]:
    """Header and pictures of a file of a recording.

    Raises:
      InputError: it is damaged, or of another version.
    """
    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays = dict(stored)
        header = json.loads(arrays.pop(HEADER).tobytes())
        version = header["version"]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{file} is damaged: delete it. Reason: {reason_of(error)}") from error
    if version != VERSION:
        raise InputError(f"{file} was recorded by another version of lad_jax ({version}, not {VERSION}): delete it.")
    names = [name for name in arrays if not name.endswith(LENGTHS)]
    parts = {name: np.split(arrays[name], np.cumsum(arrays[name + LENGTHS])[:-1]) for name in names}
    return header, [{name: parts[name][i] for name in names} for i in range(len(header["ids"]))]
