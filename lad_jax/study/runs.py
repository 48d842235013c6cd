"""The runs of a study: each a condition on a data set with a seed, known by a digest of what decides its result."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lad_jax.errors import InputError, first_few
from lad_jax.fields import may_change
from lad_jax.options import RunOptions, run_name
from lad_jax.run import checkpoint
from lad_jax.run.configs import load_options
from lad_jax.study.nouns import Study

DECIDING = (
    *("optimizer.learning_rate", "optimizer.clip_norm", "train.eval_every", "train.on_non_finite"),
    *("train.max_skipped", "train.patience", "data.on_bad_picture", "evaluation.postprocess", "evaluation.network"),
)
"""Options that a resumed run may change, and that have an influence on its result."""
FILES = (
    *("data.train", "data.val", "data.tfds", "model.pretrained", "teacher.model.pretrained"),
    *("model.backbone.pretrained", "teacher.model.backbone.pretrained"),
)
"""Options that name files. They lie elsewhere on each machine: the last two names of their paths count."""
GIVEN = ("config.seed", "config.teacher.path", "config.teacher.network", "workdir")
"""Flags that a study sets itself."""
Key = tuple[str, str, int]
"""Data set, condition and seed."""


@dataclass(frozen=True)
class StudyRun:
    """A run of a study."""

    key: Key
    config: str
    arguments: tuple[str, ...]
    """Arguments of `train` beside config, workdir, seed, teacher and start."""
    options: RunOptions
    """Options that these give, with any seed and without the paths of teacher and start."""
    digest: str
    """Identity of what decides the result, but for seed, data and machine."""
    teacher: "StudyRun | None"
    start: "StudyRun | None"
    """Run whose detector the student starts from."""

    @property
    def name(self) -> str:
        """Name of the folders of the runs that differ in their seeds alone."""
        return f"{run_name(self.config)}-{self.digest}"

    @property
    def seed(self) -> int:
        return self.key[2]

    @property
    def needs(self) -> tuple["StudyRun", ...]:
        """Runs that have to be done before this one."""
        return tuple(run for run in (self.teacher, self.start) if run)

    def workdir(self, workdirs: Path) -> Path:
        """Folder of the run."""
        return workdirs / self.name / f"seed_{self.seed}"

    def arguments_in(self, workdirs: Path) -> list[str]:
        """Arguments of `train`, beside the config, that start it or go on with it once the runs it needs are done."""
        # A workdir would mean its best checkpoint: one that was chosen by the pictures on which students are compared.
        others = [
            f"--config.{key}={checkpoint.newest(run.workdir(workdirs))}"
            for key, run in (("teacher.path", self.teacher), ("model.pretrained", self.start))
            if run
        ]
        return [*self.arguments, f"--config.seed={self.seed}", *others, f"--workdir={self.workdir(workdirs)}"]


def make_runs(study: Study, extra: Sequence[str] = ()) -> dict[Key, StudyRun]:
    """All runs of a study, each after those that it needs.

    Args:
      study: the study.
      extra: further arguments of every run, `--config.KEY=VALUE`.

    Raises:
      InputError: a config is missing or refused, has another teacher than the study says, or trains no network of a
        comparison; a flag that the study sets itself; or two conditions that are the same.
    """
    flags = [f"--config.{key}" for condition in study.conditions.values() for key in condition.changes]
    if own := [word for word in (*flags, *extra) if word.lstrip("-").split("=")[0] in GIVEN]:
        raise InputError(f"{first_few(own)}: a study sets seeds, teachers and workdirs itself.")
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
                start = runs[data, condition.start, seed] if condition.start else None
                digest = digest_of(options, teacher, start)
                runs[data, name, seed] = StudyRun(
                    (data, name, seed), config, arguments, options, digest, teacher, start
                )
    _check_distinct(runs)
    _check_networks(study, runs)
    return runs


def in_order(
    study: Study, runs: Mapping[Key, StudyRun], n_seeds: int | None = None
) -> Iterator[tuple[StudyRun, StudyRun]]:
    """Pairs of runs to compare, in the order that gives a first whole comparison soonest.

    The first seeds of one comparison after the other, then seed by seed; data sets take turns. A condition that is
    neither compared nor needed is trained for itself: its run is paired with itself, after the others.

    Args:
      study: the study.
      runs: all of its runs.
      n_seeds: number of seeds; None: all of the study's.
    """
    compared = [(c.condition, c.baseline) for c in study.comparisons]
    served = {name for c in study.conditions.values() for name in (c.teacher, c.start)}
    used = {name for pair in compared for name in pair} | served
    alone = [(name, name) for name in study.conditions if name not in used]
    n_seeds = min(study.seeds if n_seeds is None else n_seeds, study.seeds)
    first = min(study.first_seeds, n_seeds)
    for seeds in [range(first), *([seed] for seed in range(first, n_seeds))]:
        for ours, theirs in (*compared, *alone):
            for data in study.data:
                for seed in seeds:
                    yield runs[data, ours, seed], runs[data, theirs, seed]


def digest_of(options: RunOptions, teacher: StudyRun | None, start: StudyRun | None = None) -> str:
    """Identity of what decides a run's result, but for seed, data and machine: its options, its teacher's and start's.

    Options at their default are left out, so that one that is added later makes no other runs of those that are there.
    """
    default = {key: value for key, value, _ in _walk(RunOptions())}
    deciding = {
        key: "/".join(Path(value).parts[-2:]) if key.startswith(FILES) else value
        for key, value, changes in _walk(options)
        if (not changes or key.startswith((*DECIDING, *FILES))) and key != "seed" and value != default.get(key)
    }
    others = [teacher.digest if teacher else "", *([start.digest] if start else [])]
    text = json.dumps([deciding, *others], sort_keys=True, default=dataclasses.asdict)
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
    if options.teacher.path and not teacher:
        raise InputError(
            f"condition {name!r} has no teacher, but its config.teacher.path is {options.teacher.path!r}: name a "
            "condition, or leave it out."
        )
    if teacher and "teacher" not in roles.networks:
        raise InputError(f"condition {name!r} has the teacher {teacher!r}, but method {method!r} has none.")


def _check_distinct(runs: Mapping[Key, StudyRun]) -> None:
    """Check that no two conditions, nor a condition on two data sets, are the same run."""
    first: dict[tuple[str, int], StudyRun] = {}
    for run in runs.values():
        other = first.setdefault((run.name, run.seed), run)
        if other is not run:
            raise InputError(
                f"conditions {other.key[1]!r} and {run.key[1]!r}, on data {other.key[0]!r} and {run.key[0]!r}, are the "
                "same run: drop one, or let them differ by `changes`, or by `{data}` in the config."
            )


def _check_networks(study: Study, runs: Mapping[Key, StudyRun]) -> None:
    """Check that each comparison is of networks that its conditions train."""
    for c in study.comparisons:
        for name, network in ((c.condition, c.network), (c.baseline, c.baseline_network)):
            trained = runs[study.data[0], name, 0].options.roles.trained
            if network not in trained:
                raise InputError(f"condition {name!r} trains no {network!r}, but {', '.join(trained)}.")
