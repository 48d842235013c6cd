"""A study that is killed, ended and started again, against its runs done one by one in this process."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lad_jax.run import lock
from lad_jax.run.configs import load_options
from lad_jax.run.train import train
from lad_jax.study.execute import lacking
from lad_jax.study.files import load_study
from lad_jax.study.records import make_record, read_records, write_record
from lad_jax.study.report import Report, make_report
from lad_jax.study.runs import in_order, make_runs

ROOT = Path(__file__).parents[2]
CONFIG = """
from configs import base
from tests.run.tiny import TINY

def get_config():
    config = base.get_config()
    teacher = {key.replace("model.", "teacher.model.", 1): value for key, value in TINY.items() if "model." in key}
    config.update_from_flattened_dict({**TINY, **teacher, "train.epochs": 1})
    return config
"""
STUDY = """
from lad_jax.study import Comparison, Condition, Study

def get_study():
    return Study(
        question="Does a network learn by a twin's assignment?",
        conditions={
            "paa": Condition("PAA", "CONFIG"),
            "lad": Condition("LAD", "CONFIG", "paa", {"method": "lad"}),
        },
        comparisons=(Comparison("lad", "paa"),),
        seeds=2,
        first_seeds=2,
    )
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of a study."""
    (tmp_path / "tiny.py").write_text(CONFIG)
    (tmp_path / "study.py").write_text(STUDY.replace("CONFIG", str(tmp_path / "tiny.py")))
    return tmp_path / "study.py"


def report_of(file: Path, records: Path) -> Report:
    """A study's report, without the times that runs took."""
    study = load_study(file)
    report = make_report(study, (runs := make_runs(study)), read_records(records, {run.name for run in runs.values()}))
    return replace(report, hours=0.0, trained=tuple(replace(row, seconds=()) for row in report.trained))


def start(file: Path, workdirs: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lad_jax", "study", str(file), f"--workdirs={workdirs}", f"--output={workdirs}"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(happened: Callable[[], object], study: subprocess.Popen[str]) -> None:
    since = time.monotonic()
    while not happened():
        assert study.poll() is None and time.monotonic() - since < 200, study.communicate()[0]
        time.sleep(0.05)


@pytest.mark.first
def test_a_killed_study_ends_in_the_same_table(file: Path, tmp_path: Path) -> None:
    workdirs, records = tmp_path / "runs", file.parent / "records"

    study = start(file, workdirs)
    wait_for(lambda: list(workdirs.glob("*/*/*/checkpoints/?")), study)
    [held] = workdirs.glob(f"*/*/*/{lock.FILE}")
    study.kill()  # its run lives on; it is killed too, as by a power cut
    os.kill(json.loads(held.read_text())["process"], signal.SIGKILL)
    assert study.wait() == -signal.SIGKILL and not list(records.glob("*/*"))

    study = start(file, workdirs)
    wait_for(lambda: len(list(workdirs.glob("*/*/*/starts.jsonl"))) > 1, study)  # later it might be done
    study.terminate()
    output, _ = study.communicate()
    assert study.returncode == os.EX_TEMPFAIL, output
    assert "done: paa, seed 0" in output and len(list(records.glob("*/*"))) == 1
    assert not list(workdirs.glob(f"*/*/*/{lock.FILE}")), "its run has ended too, and has saved"

    study = start(file, workdirs)
    output, _ = study.communicate()
    assert study.returncode == 0, output

    never_killed = tmp_path / "never_killed"
    runs = make_runs(load_study(file))
    for run in lacking(list(in_order(load_study(file), runs)), [], "any"):
        workdir = run.workdir(tmp_path / "whole")
        train(load_options(run.config, run.arguments_in(tmp_path / "whole")), workdir)
        write_record(make_record(run, workdir), never_killed)
    assert report_of(file, records) == report_of(file, never_killed)
    assert json.loads((workdirs / "report.json").read_text())["compared"][0]["difference"]["n"] == 2
    table = (workdirs / "table.md").read_text()
    assert table.strip() in output and "| LAD − PAA |" in table
    assert (workdirs / "differences.svg").read_text().startswith("<?xml")
