"""The recordings that a report is made from, as runs have written them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lad_jax.errors import InputError
from lad_jax.run import recording
from lad_jax.run.recording import Arrays, Header

Id = int | str


@dataclass(frozen=True)
class Evaluated:
    """A recorded evaluation."""

    about: Header
    pictures: dict[Id, Arrays]

    @property
    def step(self) -> int:
        """Number of steps before it."""
        return self.about["step"]


@dataclass(frozen=True)
class Recording:
    """The recording of a run."""

    workdir: Path
    about: Header
    scenes: dict[Id, Arrays]
    evaluations: list[Evaluated]
    """By rising step."""

    @property
    def ids(self) -> list[Id]:
        """The pictures that every evaluation has, in the order of the evaluation."""
        return [number for number in self.scenes if all(number in e.pictures for e in self.evaluations)]

    def facts(self, number: Id) -> Header:
        """Name, size and canvas of a picture."""
        row, keys = self.about["ids"].index(number), {"name": "names", "size": "sizes", "canvas": "canvases"}
        return {fact: self.about[key][row] for fact, key in keys.items()}


def read_recording(workdir: Path) -> Recording:
    """The recording of the run in a workdir.

    Raises:
      InputError: there is none, or a file of it is damaged.
    """
    file, steps = recording.scenes_file(workdir), recording.recorded_steps(workdir)
    if not file.exists() or not steps:
        raise InputError(
            f"{workdir} has no recording: --record makes one from the run's checkpoints, and runs record themselves "
            "unless config.report.pictures is 0."
        )
    about, scenes = recording.read(file)
    evaluations = [recording.read(recording.step_file(workdir, step)) for step in steps]
    return Recording(
        workdir,
        about,
        dict(zip(about["ids"], scenes, strict=True)),
        [Evaluated(each, dict(zip(each["ids"], pictures, strict=True))) for each, pictures in evaluations],
    )


def common_ids(recordings: Sequence[Recording]) -> list[Id]:
    """The pictures that all runs have recorded, in the order of the evaluation.

    Raises:
      InputError: runs of other classes, pictures, sizes or priors, which cannot be compared; or no picture is in all.
    """
    first, *others = recordings
    ids = [number for number in first.ids if all(number in other.ids for other in others)]
    for other in others:
        for what, is_other in _DIFFERENCES.items():
            if is_other(first, other, ids):
                raise InputError(f"{first.workdir} and {other.workdir} are runs {what}: make a report of each.")
    if not ids:
        raise InputError(f"no picture is in all evaluations of {', '.join(str(r.workdir) for r in recordings)}.")
    return ids


_DIFFERENCES = {
    "of other classes": lambda a, b, ids: a.about["class_names"] != b.about["class_names"],
    "on other data": lambda a, b, ids: not ids or any(a.facts(i)["name"] != b.facts(i)["name"] for i in ids),
    "whose pictures have other sizes": lambda a, b, ids: any(a.facts(i) != b.facts(i) for i in ids),
    "with other objects": lambda a, b, ids: any(
        not np.array_equal(a.scenes[i][key], b.scenes[i][key]) for i in ids for key in ("boxes", "labels", "crowd")
    ),
    "with other priors": lambda a, b, ids: any(a.about[key] != b.about[key] for key in ("strides", "anchor_scale")),
}
"""In what runs differ that cannot be compared, and whether two do, by what all recorded pictures of both have."""


def names_of(workdirs: Sequence[Path]) -> list[str]:
    """Names of runs: the last part of each path, or as many as tell them apart."""
    paths = [Path(os.path.abspath(workdir)).parts for workdir in workdirs]
    for n in range(1, max(map(len, paths)) + 1):
        names = ["/".join(path[-n:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return names
