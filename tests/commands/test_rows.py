"""Whole tables of published results: their commands, and what runs have reached beside what was published."""

import subprocess
import sys
from pathlib import Path

import pytest

from lad_jax.commands import recipe
from lad_jax.commands.rows import collect, rows_of
from lad_jax.errors import InputError
from lad_jax.files import append_line
from lad_jax.options import run_name

PAPER = "configs/paper.py"
ROOT = Path(__file__).parents[2]


def done(workdir: Path, epochs: int, **ap: str) -> None:
    """Files of a run that is done, by which a recipe knows it, with the AP of each network as JSON."""
    (workdir / "checkpoints" / "9" / "optimizer").mkdir(parents=True)
    (workdir / "config.json").write_text(f'{{"train": {{"epochs": {epochs}}}}}')
    append_line(workdir / "metrics.jsonl", {"step": 9, "epoch": epochs, "evaluation": {}})
    results = ", ".join(f'"{name}": {{"overall": {{"AP": {value}}}}}' for name, value in ap.items())
    (workdir / "metrics.json").write_text(f"{{{results}}}")


def test_a_table_trains_a_shared_teacher_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lad_jax", "recipe", PAPER, "--table=3", f"--workdirs={tmp_path}"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    trained = [line.split()[4].partition(":")[2] for line in shown.stdout.splitlines() if "lad_jax train" in line]
    assert trained == ["paa_r101_1x", "paa_r101_2x", "paa_r50_1x", "soft_label_r101_r50_1x", "lad_r101_r50_1x"]
    every = [stage.command for row in rows_of(PAPER, "3") for stage in recipe.make_stages(row, tmp_path)]
    assert set(every) == {line.split("  # ")[0] for line in shown.stdout.splitlines()}


def test_rows_of_a_table() -> None:
    assert f"{PAPER}:lad_r101_r50_1x" in rows_of(PAPER, "3") and f"{PAPER}:lad_r50_r101_1x" not in rows_of(PAPER, "3")
    assert set(rows_of(PAPER, "3")) < set(rows_of(PAPER, ""))
    with pytest.raises(InputError, match=r"--table is '1', but configs/paper\.py has rows of 2, 3, 4"):
        rows_of(PAPER, "1")
    with pytest.raises(InputError, match="is no table of published results"):
        rows_of("configs/base.py", "2")


def test_what_runs_have_reached(tmp_path: Path) -> None:
    configs = [f"{PAPER}:{row}" for row in ("lad_r101_r50_1x", "colad_r101_r50p1x_1x", "paa_r50_1x")]
    assert "| lad_r101_r50_1x | student | 43.3 |  |" in collect(configs, tmp_path)
    done(tmp_path / run_name(configs[0]), 12, student="0.4321")
    done(tmp_path / run_name(configs[1]), 12, student="0.4", teacher="0.41")
    done(tmp_path / run_name(configs[2]), 12, student="null")
    assert collect(configs, tmp_path).splitlines()[2:] == [
        "| lad_r101_r50_1x | student | 43.3 | 43.2 |",
        "| colad_r101_r50p1x_1x | student | 43.3 | 40.0 |",
        "| colad_r101_r50p1x_1x | teacher | 42.6 | 41.0 |",
        "| paa_r50_1x | student | 40.4 |  |",
    ]


def test_runs_of_other_arguments_are_collected_by_these(tmp_path: Path) -> None:
    config = f"{PAPER}:lad_r101_r50_1x"
    done(tmp_path / run_name(config), 24, student="0.4321")
    with pytest.raises(InputError, match="24"):
        collect([config], tmp_path)
    extra = ["--config.train.epochs=24"]
    assert "| student | 43.3 | 43.2 |" in collect([config], tmp_path, extra)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([f"{PAPER}:paa_r50_1x", "--collect"], "| paa_r50_1x | student | 40.4 |  |"),
        ([f"{PAPER}:paa_r50_1x", "--table=2"], f"--table is of a whole file: give {PAPER} without :paa_r50_1x"),
        ([PAPER, "--collect", "--run"], "give one of them"),
    ],
)
def test_flags_that_go_together(words: list[str], said: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lad_jax", "recipe", *words, f"--workdirs={tmp_path}"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert said in ended.stdout + ended.stderr


def test_a_run_on_its_way_has_reached_nothing(tmp_path: Path) -> None:
    config = f"{PAPER}:paa_r50_1x"
    done(tmp_path / run_name(config), 12, student="0.3")
    (tmp_path / run_name(config) / "checkpoints" / "12" / "optimizer").mkdir(parents=True)
    assert "30.0" not in collect([config], tmp_path)
