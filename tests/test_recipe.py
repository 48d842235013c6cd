"""The commands of a config from its first teacher on: printed, marked by what is there, and run."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lad_jax import recipe
from lad_jax.errors import InputError
from lad_jax.train import checkpoint

ROOT = Path(__file__).parents[1]
ROW = "configs/narrow.py:solad_r50_r101_1x"
ONE_DEVICE = "--config.train.devices=1"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a chain that was run, and what was printed meanwhile."""
    workdirs = tmp_path_factory.mktemp("runs")
    command = [sys.executable, "-m", "lad_jax.recipe", ROW, f"--workdirs={workdirs}", "--run", "--", ONE_DEVICE]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return workdirs, result.stdout


def test_a_chain_runs_from_the_teacher_on(finished: tuple[Path, str]) -> None:
    workdirs, output = finished
    teacher, student = workdirs / "narrow_paa_r101_1x", workdirs / "narrow_solad_r50_r101_1x"
    train = f"python main.py --config={ROW} --workdir={student}"
    commands = [
        f"python main.py --config=configs/narrow.py:paa_r101_1x --workdir={teacher} {ONE_DEVICE}",
        f"{train} --config.teacher.path={teacher} {ONE_DEVICE}",
        f"{train} --mode=eval {ONE_DEVICE}",
    ]
    assert output.splitlines()[:3] == [f"{command}  # to be run" for command in commands]
    assert [line for line in output.splitlines() if line.startswith("$")] == [f"$ {command}" for command in commands]
    assert "AP per class" in output
    taught_by = json.loads((student / "config.json").read_text())["teacher"]["path"]
    assert taught_by == str(teacher)


def test_what_is_done_is_not_run_again(finished: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    workdirs, _ = finished
    stages = recipe.make_stages(ROW, workdirs, [ONE_DEVICE])
    assert [stage.state for stage in stages] == ["done"] * 3
    recipe.run(stages)
    assert capsys.readouterr().out == ""
    # Another evaluation than the one that was run.
    others = recipe.make_stages(ROW, workdirs, [ONE_DEVICE, "--config.evaluation.split=test-dev"])
    assert [stage.state for stage in others] == ["done", "done", "to be run"]


def test_a_run_that_was_cut_off(finished: tuple[Path, str], tmp_path: Path) -> None:
    """Its newest checkpoint is before the last step, or at it and not evaluated, or there is none."""
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    workdir = tmp_path / "narrow_solad_r50_r101_1x"
    assert recipe.training_state(workdir) == "done"
    newest = workdir / "checkpoints" / "2"
    newest.rename(newest.with_name("1"))
    states = [stage.state for stage in recipe.make_stages(ROW, tmp_path, [ONE_DEVICE])]
    assert states == ["done", "to be resumed", "to be run"]
    newest.with_name("1").rename(newest)
    *lines, last = (workdir / "metrics.jsonl").read_text().splitlines()
    assert "evaluation" in last
    (workdir / "metrics.jsonl").write_text("\n".join([*lines, last[:20]]))
    assert recipe.training_state(workdir) == "to be resumed"
    (workdir / "metrics.jsonl").unlink()
    assert recipe.training_state(workdir) == "to be resumed"
    shutil.rmtree(newest)
    assert recipe.training_state(workdir) == "to be run"


def test_converted_weights_are_done(tmp_path: Path) -> None:
    meta = checkpoint.Meta({}, ("cat",), (1,), "", {})
    checkpoint.save_weights(tmp_path, {"student": {"params": {"w": np.zeros(1)}}}, meta)
    assert recipe.training_state(tmp_path) == "done"


def test_a_long_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the runs lie where the configs expect them, no command needs to name its teacher."""
    monkeypatch.chdir(ROOT)
    chain = [
        "paa_r50_ms_3x",
        "colad_x101dcncop_r50p3x_ms_2x",
        "dynamic_lad_swinb_x101dcn_ms_3x",
        "solad_r101cop_swinb_ms_2x",
    ]
    plain = [f"python main.py --config=configs/{name}.py --workdir=runs/{name}" for name in chain]
    stages = recipe.make_stages("configs/solad_r101cop_swinb_ms_2x.py", Path("runs"))
    assert [stage.command for stage in stages] == [*plain, f"{plain[-1]} --mode=eval"]
    narrow = [f"python main.py --config=configs/narrow.py:{name} --workdir=runs/narrow_{name}" for name in chain]
    stages = recipe.make_stages("configs/narrow.py:solad_r101cop_swinb_ms_2x", Path("runs"))
    assert [stage.command for stage in stages] == [*narrow, f"{narrow[-1]} --mode=eval"]


def test_a_teacher_that_learns_from_its_pupil(tmp_path: Path) -> None:
    for name, teacher in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.py").write_text(
            "from configs import base\n\n\ndef get_config():\n    config = base.get_config()\n"
            f"    config.method, config.teacher.config = 'lad', '{tmp_path}/{teacher}.py'\n    return config\n"
        )
    with pytest.raises(InputError, match=r"a\.py <- .*b\.py <- .*a\.py: .*none can be trained first.*teacher\.path"):
        recipe.make_stages(f"{tmp_path}/a.py", tmp_path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("configs/nothing.py", "there is no config configs/nothing.py"),
        ("configs/narrow.py:nothing", "configs/narrow.py:nothing: there is no row 'nothing'; docs/paper.md"),
    ],
)
def test_a_config_that_does_not_build(config: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(InputError, match=message):
        recipe.make_stages(config, Path("runs"))


def test_the_first_failure_ends_it(tmp_path: Path) -> None:
    failing = recipe.Stage(("-c", "raise SystemExit(3)"), "to be run", tmp_path / "note")
    after = recipe.Stage(("-c", f"open('{tmp_path / 'ran'}', 'w')"), "to be run", None)
    with pytest.raises(InputError, match=r"exit status 3 of\n  python -c 'raise SystemExit\(3\)'\n.*call this program"):
        recipe.run([failing, after])
    assert list(tmp_path.iterdir()) == []
