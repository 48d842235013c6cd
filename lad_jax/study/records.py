"""Records of finished runs: small files that stay when workdirs are gone, and from which all tables are printed."""

import dataclasses
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lad_jax.data import open_dataset
from lad_jax.errors import InputError
from lad_jax.evaluation.resampling import resampled_ap
from lad_jax.files import read_lines, write_whole
from lad_jax.run import checkpoint
from lad_jax.run.environment import FILE as STARTS
from lad_jax.run.environment import read_starts
from lad_jax.study.runs import StudyRun
from lad_jax.types import Network


@dataclass(frozen=True)
class Record:
    """A finished run in small."""

    run: str
    """Name of the runs that differ in their seeds alone: config, and digest of what decides the result."""
    seed: int
    machine: str
    """Kind of machine; of a run that was moved each of them, in order."""
    command: list[str]
    """Arguments of the command `train`, without paths."""
    data: str
    """Fingerprint of the annotations of the training set."""
    teacher: str
    """Digest of the weights of a frozen teacher; empty: none."""
    versions: dict[str, str]
    commit: str
    """Commit of the program; of a run that went on by another each of them, in order."""
    started: str
    seconds: float
    """Time of all steps and evaluations, without compilation [seconds]."""
    metrics: dict[Network, dict[str, Any]]
    """COCO's twelve numbers after the last epoch, by network."""
    curve: dict[Network, list[list[float]]]
    """Epoch and AP of each evaluation, by network."""
    resampled: dict[Network, list[float | None]]
    """AP on resampled pictures, see `resampled_ap`: of `evaluation.network` alone; None where they have no object."""


def make_record(run: StudyRun, workdir: Path) -> Record:
    """The record of a finished run, from what it has written.

    Raises:
      InputError: there is no object to measure, or a file that it is made from is damaged; names it.
    """
    meta = checkpoint.read_meta(checkpoint.newest(workdir))
    starts = read_starts(workdir)
    if not starts:
        raise InputError(f"{workdir / STARTS} has no whole line, so the machine is unknown: move {workdir} away.")
    lines, _ = read_lines(workdir / "metrics.jsonl")
    metrics = _last_epochs(workdir, lines)
    for network, values in metrics.items():
        if values["AP"] is None:
            raise InputError(f"the {network} has no AP: the validation set has no object")

    def all_of(key: str) -> str:
        return " then ".join(dict.fromkeys(start[key] for start in starts))

    return Record(
        run=run.name,
        seed=run.seed,
        machine=all_of("machine"),
        command=[f"--config={run.config}", *run.arguments],
        data=meta.data,
        teacher=meta.teacher.get("digest", ""),
        versions=starts[-1]["versions"],
        commit=all_of("commit"),
        started=starts[0]["time"],
        seconds=round(_seconds(lines, run.options.train.batch_size), 1),
        metrics={network: _rounded(values) for network, values in metrics.items()},
        curve=_curves(lines),
        resampled=_resampled(run, workdir),
    )


def write_record(record: Record, folder: Path) -> Path:
    """Write a record into the folder of records; the file."""
    file = folder / record.run / f"seed_{record.seed}_{file_name(record.machine)}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dataclasses.asdict(record), indent=1)
    # Lists of numbers on one line each.
    text = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda match: f"[{' '.join(match[1].split())}]", text)
    write_whole(file, f"{text}\n")
    return file


def file_name(machine: str) -> str:
    """A machine's kind as part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "_", machine.lower()).strip("_")


def read_records(folder: Path, runs: Collection[str]) -> list[Record]:
    """The records of runs.

    Args:
      folder: that of all records.
      runs: names of runs.

    Raises:
      InputError: a file is no record; names it.
    """
    names = {field.name for field in dataclasses.fields(Record)}
    records = []
    for file in (file for run in sorted(runs) for file in sorted((folder / run).glob("*.json"))):
        try:
            values = json.loads(file.read_text())
        except ValueError as error:
            raise InputError(f"record {file} is damaged: restore or delete it. Reason: {error}") from error
        if not isinstance(values, dict) or set(values) != names:
            raise InputError(f"{file} is no record, or one of another version: delete it, and run the study again.")
        records.append(Record(**values))
    return records


def _resampled(run: StudyRun, workdir: Path) -> dict[Network, list[float | None]]:
    dataset = open_dataset(run.options.data, "val")
    detections = _read_result(workdir / "detections.json")
    evaluation = run.options.evaluation
    most = evaluation.postprocess.counted
    values = resampled_ap(dataset.ground_truth(), detections, dataset.category_ids, most=most)
    return {evaluation.network: [None if np.isnan(value) else round(value, 4) for value in values.tolist()]}


def _last_epochs(workdir: Path, lines: list[dict[str, Any]]) -> dict[Network, dict[str, Any]]:
    """COCO's numbers after the last epoch, by network; the files of results must be that evaluation's too."""
    file = workdir / "metrics.json"
    found = {network: values["overall"] for network, values in _read_result(file).items()}
    logged = [line["evaluation"] for line in lines if "evaluation" in line]
    if not logged or logged[-1] != found:
        raise InputError(f"{file} is not of the last epoch's evaluation, but as of the command eval: {_again(file)}")
    return found


def _read_result(file: Path) -> Any:
    """Content of a file that an evaluation writes."""
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{file} is missing or damaged: {_again(file)} Reason: {error}") from error


def _again(file: Path) -> str:
    """How to have the last epoch's results again."""
    noted = checkpoint.newest(file.parent) / "metrics"
    return f"delete {noted}, and the next start of the study evaluates that checkpoint again."


def _seconds(lines: list[dict[str, Any]], batch_size: int) -> float:
    """Time of the steps and evaluations that the lines of `metrics.jsonl` tell of [seconds]."""
    windows = [line for line in lines if "images_per_s" in line]
    steps = np.diff([0, *(line["step"] for line in windows)])
    trained = sum(n * batch_size / line["images_per_s"] for n, line in zip(steps, windows, strict=True))
    return float(trained + sum(line["seconds"] for line in lines if "evaluation" in line))


def _curves(lines: list[dict[str, Any]]) -> dict[Network, list[list[float]]]:
    """Epoch and AP of each evaluation, by network."""
    epochs = {line["step"]: line["epoch"] for line in lines if "epoch" in line}
    curves: dict[Network, list[list[float]]] = {}
    for line in lines:
        for network, values in line.get("evaluation", {}).items():
            if line["step"] in epochs and values["AP"] is not None:  # whose line was not damaged
                curves.setdefault(network, []).append([epochs[line["step"]], round(values["AP"], 5)])
    return curves


def _rounded(numbers: dict[str, float | None]) -> dict[str, float | None]:
    return {name: value if value is None else round(value, 5) for name, value in numbers.items()}
