"""The runs of a study: each a condition on a data set with a seed, known by a digest of what decides its result."""

import dataclasses
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lad_jax.errors import InputError
from lad_jax.fields import may_change
from lad_jax.options import RunOptions, run_name
from lad_jax.run.configs import load_options
from lad_jax.study.nouns import Study

DECIDING = ("optimizer.learning_rate", "optimizer.clip_norm", "train.eval_every", "evaluation.postprocess")
"""Options that a resumed run may change, and that have an influence on its AP."""
Key = tuple[str, str, int]
"""Data set, condition and seed."""


@dataclass(frozen=True)
class StudyRun:
    """A run of a study."""

    key: Key
    config: str
    arguments: tuple[str, ...]
    """Arguments of `train` beside config, workdir, seed and teacher."""
    options: RunOptions
    """Options that these give, with any seed and without a teacher's path."""
    digest: str
    """Identity of what decides the result, but for seed, data and machine."""
    teacher: "StudyRun | None"

    @property
    def name(self) -> str:
        """Name of the folders of the runs that differ in their seeds alone."""
        return f"{run_name(self.config)}-{self.digest}"

    @property
    def seed(self) -> int:
        return self.key[2]

    def workdir(self, workdirs: Path) -> Path:
        """Folder of the run."""
        return workdirs / self.name / f"seed_{self.seed}"

    def command(self, workdirs: Path) -> list[str]:
        """The command that starts it, or goes on with it."""
        teacher = [f"--config.teacher.path={self.teacher.workdir(workdirs)}"] if self.teacher else []
        return [
            *(sys.executable, "-m", "lad_jax", "train"),
            *(f"--config={self.config}", f"--workdir={self.workdir(workdirs)}"),
            *(*self.arguments, f"--config.seed={self.seed}", *teacher),
        ]


def make_runs(study: Study, extra: Sequence[str] = ()) -> dict[Key, StudyRun]:
    """All runs of a study, a teacher before those that it serves.

    Args:
      study: the study.
      extra: further arguments of every run, `--config.KEY=VALUE`.

    Raises:
      InputError: a config is missing or refused, or has another teacher than the study says.
    """
    runs: dict[Key, StudyRun] = {}
    for data in study.data:
        for name, condition in study.conditions.items():
            config = condition.config.format(data=data)
            changes = (f"--config.{key}={value}" for key, value in condition.changes.items())
            arguments = (*changes, *extra)
            options = load_options(config, arguments, named_by=f"condition {name!r}")
            _check_teacher(name, condition.teacher, options)
            for seed in range(study.seeds):
                teacher = runs[data, condition.teacher, seed] if condition.teacher else None
                digest = digest_of(options, teacher)
                runs[data, name, seed] = StudyRun((data, name, seed), config, arguments, options, digest, teacher)
    return runs


def in_order(
    study: Study, runs: Mapping[Key, StudyRun], n_seeds: int | None = None
) -> Iterator[tuple[StudyRun, StudyRun]]:
    """Pairs of runs to compare, in the order that gives a first whole comparison soonest.

    The first seeds of one comparison after the other, then seed by seed; data sets take turns. A condition that is
    neither compared nor a teacher is trained for itself: its run is paired with itself, after the others.

    Args:
      study: the study.
      runs: all of its runs.
      n_seeds: number of seeds; None: all of the study's.
    """
    compared = [(c.condition, c.baseline) for c in study.comparisons]
    used = {name for pair in compared for name in pair} | {c.teacher for c in study.conditions.values()}
    alone = [(name, name) for name in study.conditions if name not in used]
    n_seeds = min(study.seeds if n_seeds is None else n_seeds, study.seeds)
    first = min(study.first_seeds, n_seeds)
    for seeds in [range(first), *([seed] for seed in range(first, n_seeds))]:
        for ours, theirs in (*compared, *alone):
            for data in study.data:
                for seed in seeds:
                    yield runs[data, ours, seed], runs[data, theirs, seed]


def digest_of(options: RunOptions, teacher: StudyRun | None) -> str:
    """Identity of what decides a run's result, but for seed, data and machine: its options, and its teacher's.

    Options at their default are left out, so that one that is added later makes no other runs of those that are there.
    """
    default = {key: value for key, value, _ in _walk(RunOptions())}
    deciding = {
        key: value
        for key, value, changes in _walk(options)
        if (not changes or key.startswith(DECIDING)) and key != "seed" and value != default.get(key)
    }
    text = json.dumps([deciding, teacher.digest if teacher else ""], sort_keys=True, default=dataclasses.asdict)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _walk(options: Any, prefix: str = "", *, changes: bool = False) -> Iterator[tuple[str, Any, bool]]:
    """Dotted key and value of each option, and whether a resumed run may change it."""
    for field in dataclasses.fields(options):
        value, may = getattr(options, field.name), changes or may_change(field)
        if dataclasses.is_dataclass(value):
            yield from _walk(value, f"{prefix}{field.name}.", changes=may)
        else:
            yield f"{prefix}{field.name}", value, may


def _check_teacher(name: str, teacher: str, options: RunOptions) -> None:
    roles, method = options.roles, options.method
    if "teacher" in roles.frozen and not teacher:
        raise InputError(f"condition {name!r} has no teacher, but method {method!r} needs one: name a condition.")
    if teacher and "teacher" not in roles.networks:
        raise InputError(f"condition {name!r} has the teacher {teacher!r}, but method {method!r} has none.")
