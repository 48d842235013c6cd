"""The commands of a config from its first teacher on: printed, marked by what is there, and run."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from lad_jax.commands import recipe, stages
from lad_jax.errors import InputError
from lad_jax.run import lock, saving
from lad_jax.run.meta import Meta
from lad_jax.run.states import training_state

pytestmark = pytest.mark.first
ROOT = Path(__file__).parents[2]
ROW = "configs/narrow.py:lad_r18_r50_1x"
ONE_DEVICE = "--config.mesh.data=1"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a chain that was run, and what was printed meanwhile."""
    workdirs = tmp_path_factory.mktemp("runs")
    command = [sys.executable, "-m", "lad_jax", "recipe", ROW, f"--workdirs={workdirs}", "--run", "--", ONE_DEVICE]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return workdirs, result.stdout


def test_a_chain_runs_from_the_teacher_on(finished: tuple[Path, str]) -> None:
    workdirs, output = finished
    teacher, student = workdirs / "narrow_paa_r50_1x", workdirs / "narrow_lad_r18_r50_1x"
    taught = f"python -m lad_jax train --config={ROW} --workdir={student} --config.teacher.path={teacher}"
    commands = [
        f"python -m lad_jax train --config=configs/narrow.py:paa_r50_1x --workdir={teacher} {ONE_DEVICE}",
        f"{taught} {ONE_DEVICE}",
        f"{evaluated(taught)} {ONE_DEVICE}",
    ]
    assert output.splitlines()[:3] == [f"{command}  # to be run" for command in commands]
    assert [line for line in output.splitlines() if line.startswith("$")] == [f"$ {command}" for command in commands]
    assert "AP, AP50 and recall" in output
    taught_by = json.loads((student / "config.json").read_text())["teacher"]["path"]
    assert taught_by == str(teacher)


def evaluated(training: str) -> str:
    """The command that evaluates what another one trains."""
    return training.replace("lad_jax train", "lad_jax eval")


def states(workdirs: Path, *extra: str, config: str = ROW) -> list[str]:
    return [stage.state for stage in recipe.make_stages(config, workdirs, [ONE_DEVICE, *extra])]


@pytest.fixture
def copy(finished: tuple[Path, str], tmp_path: Path) -> Path:
    """Of the folder of the chain that was run, as if it was run there."""
    copy = shutil.copytree(finished[0], tmp_path / "copy")
    note = copy / "narrow_lad_r18_r50_1x" / "evaluated.txt"
    note.write_text(note.read_text().replace(str(finished[0]), str(copy)))
    return copy


def test_what_is_done_is_not_run_again(finished: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    workdirs, _ = finished
    stages = recipe.make_stages(ROW, workdirs, [ONE_DEVICE])
    assert [stage.state for stage in stages] == ["done"] * 2
    recipe.run(stages)
    assert capsys.readouterr().out == ""
    # Another evaluation than the one that was run.
    assert states(workdirs, "--config.evaluation.batch_size=4") == ["done", "to be run"]


def test_what_only_a_finished_training_needed_is_left_out(copy: Path) -> None:
    shutil.rmtree(copy / "narrow_paa_r50_1x")
    assert states(copy) == ["done", "done"]
    # The first teacher of three was deleted. The last one's run is there, under another name.
    (copy / "narrow_lad_r18_r50_1x").rename(copy / "narrow_dynamic_lad_swinb_x101dcn_ms_3x")
    assert states(copy, config="configs/narrow.py:solad_r50_swinb_1x") == ["done", "to be run", "to be run"]


def test_an_evaluation_is_of_a_checkpoint(copy: Path) -> None:
    assert states(copy) == ["done", "done"]
    newest = copy / "narrow_lad_r18_r50_1x" / "checkpoints" / "2"
    trained = newest.stat().st_mtime + 60
    os.utime(newest, (trained, trained))
    assert states(copy) == ["done", "to be run"]


def test_a_run_that_was_cut_off(copy: Path) -> None:
    """Its newest checkpoint is before the last step, or at it and not evaluated, or there is none."""
    workdir = copy / "narrow_lad_r18_r50_1x"
    newest = workdir / "checkpoints" / "2"
    newest.rename(newest.with_name("1"))
    assert states(copy) == ["done", "to be resumed", "to be run"]
    newest.with_name("1").rename(newest)
    config = (workdir / "config.json").read_text()
    (workdir / "config.json").write_text(config[:100])
    assert training_state(workdir, 1) == "to be resumed"
    (workdir / "config.json").write_text(config)
    assert training_state(workdir, 1) == "done"
    *lines, last = (workdir / "metrics.jsonl").read_text().splitlines()
    assert "evaluation" in last
    (workdir / "metrics.jsonl").write_text("\n".join([*lines, last[:20]]))
    assert training_state(workdir, 1) == "to be resumed"
    (workdir / "metrics.jsonl").unlink()
    assert training_state(workdir, 1) == "to be resumed"
    shutil.rmtree(newest)
    assert training_state(workdir, 1) == "to be run"


def test_a_cohort_is_resumed_without_what_it_started_from(copy: Path) -> None:
    """CoLAD's teacher is in its own checkpoint."""
    (copy / "narrow_lad_r18_r50_1x").rename(copy / "narrow_colad_r50_r101p1x_1x")
    shutil.rmtree(copy / "narrow_paa_r50_1x")
    (copy / "narrow_colad_r50_r101p1x_1x" / "metrics.jsonl").unlink()
    assert states(copy, config="configs/narrow.py:colad_r50_r101p1x_1x") == ["to be resumed", "to be run"]


def test_a_run_of_other_epochs_is_not_done(copy: Path) -> None:
    """Neither a trial of a config, nor of its teacher where that is needed."""
    message = r"narrow_{} holds a run of 1 epoch\(s\), where one of 2 is asked for: move it away, .* --workdirs"
    with pytest.raises(InputError, match=message.format("lad_r18_r50_1x")):
        states(copy, "--config.train.epochs=2")
    shutil.rmtree(copy / "narrow_lad_r18_r50_1x")
    with pytest.raises(InputError, match=message.format("paa_r50_1x")):
        states(copy, "--config.train.epochs", "2")


def test_a_teacher_from_elsewhere(copy: Path, tmp_path: Path) -> None:
    """It is the config's own, not its teacher's; what leads to it is not needed."""
    teacher = (copy / "narrow_paa_r50_1x").rename(tmp_path / "elsewhere")
    chain = "configs/narrow.py:solad_r50_swinb_1x"
    plain = f"python -m lad_jax train --config={chain} --workdir={tmp_path / 'new' / 'narrow_solad_r50_swinb_1x'}"
    for given in ([f"--config.teacher.path={teacher}"], ["--config.teacher.path", str(teacher)]):
        stages = recipe.make_stages(chain, tmp_path / "new", [ONE_DEVICE, *given])
        assert [stage.command for stage in stages] == [
            f"{plain} --config.teacher.path={teacher} {ONE_DEVICE}",
            f"{evaluated(plain)} --config.teacher.path={teacher} {ONE_DEVICE}",
        ]
    # The place where the chain trains it: nothing else than without.
    new = tmp_path / "new"
    trained_here = f"--config.teacher.path={new / 'narrow_paa_r50_1x'}"
    assert recipe.make_stages(ROW, new, [trained_here]) == recipe.make_stages(ROW, new)
    with pytest.raises(InputError, match=f"no checkpoint in {tmp_path}/nothing.*It is config.teacher.path of {ROW}"):
        states(new, f"--config.teacher.path={tmp_path}/nothing")
    with pytest.raises(InputError, match=r"paa_r50_1x: .*method 'plain' has no teacher"):
        states(new, f"--config.teacher.path={teacher}", config="configs/narrow.py:paa_r50_1x")


def lad_config(file: Path, *, path: str, config: str) -> str:
    """A config with this teacher."""
    file.write_text(
        "from configs import base\n\n\ndef get_config():\n    config = base.get_config()\n"
        f"    config.method, config.teacher.path, config.teacher.config = 'lad', '{path}', '{config}'\n"
        "    return config\n"
    )
    return str(file)


def test_a_config_whose_teacher_is_elsewhere(copy: Path, tmp_path: Path) -> None:
    there, row = copy / "narrow_paa_r50_1x", "configs/paper.py:paa_r50_1x"
    config = lad_config(tmp_path / "here.py", path=str(there), config=row)
    plain = f"python -m lad_jax train --config={config} --workdir={tmp_path / 'here'}"
    stages = recipe.make_stages(config, tmp_path)
    assert [stage.command for stage in stages] == [plain, evaluated(plain)]
    config = lad_config(tmp_path / "gone.py", path="weights/gone", config=row)
    with pytest.raises(InputError, match=r"no checkpoint in weights/gone: .*config\.teacher\.path of .*gone\.py"):
        recipe.make_stages(config, tmp_path)
    config = lad_config(tmp_path / "lost.py", path="runs/lost", config="configs/lost.py")
    with pytest.raises(InputError, match=r"teacher\.config of .*/lost\.py: there is no file configs/lost\.py"):
        recipe.make_stages(config, tmp_path)


def test_test_dev_is_evaluated_where_it_is_there(tmp_path: Path) -> None:
    annotations = tmp_path / "test-dev.json"
    extra = [f"--config.data.test.annotations={annotations}"]
    row = "configs/paper.py:paa_r101_ms_2x"
    *_, val, last = recipe.make_stages(row, tmp_path, extra)
    assert last.command == val.command.replace(str(extra[0]), f"--config.evaluation.split=test-dev {extra[0]}")
    assert (last.state, last.note) == ("needs data.test.annotations", None)
    recipe.run([last])
    annotations.touch()
    *_, last = recipe.make_stages(row, tmp_path, extra)
    assert (last.state, last.note) == ("to be run", tmp_path / "paper_paa_r101_ms_2x" / "evaluated_test-dev.txt")


def test_converted_weights_are_done(tmp_path: Path) -> None:
    meta = Meta({}, ("cat",), (1,), "", {})
    saving.save_weights(tmp_path, {"student": {"params": {"w": np.zeros(1)}}}, meta)
    assert training_state(tmp_path, 12) == "done"


def test_a_long_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the runs lie where the configs expect them, no command needs to name its teacher."""
    monkeypatch.chdir(ROOT)
    chain = [
        "paa_r50_ms_3x",
        "colad_x101dcncop_r50p3x_ms_2x",
        "dynamic_lad_swinb_x101dcn_ms_3x",
        "solad_r101cop_swinb_ms_2x",
    ]
    plain = [f"python -m lad_jax train --config=configs/paper.py:{name} --workdir=runs/paper_{name}" for name in chain]
    stages = recipe.make_stages("configs/paper.py:solad_r101cop_swinb_ms_2x", Path("runs"))
    evaluations = [evaluated(plain[-1]), f"{evaluated(plain[-1])} --config.evaluation.split=test-dev"]
    assert [stage.command for stage in stages] == [*plain, *evaluations]
    narrow = [
        f"python -m lad_jax train --config=configs/narrow.py:{name} --workdir=runs/narrow_{name}" for name in chain
    ]
    stages = recipe.make_stages("configs/narrow.py:solad_r101cop_swinb_ms_2x", Path("runs"))
    assert [stage.command for stage in stages] == [*narrow, evaluated(narrow[-1])]


def test_a_teacher_that_learns_from_its_pupil(tmp_path: Path) -> None:
    for name, teacher in (("a", "b"), ("b", "a")):
        lad_config(tmp_path / f"{name}.py", path="", config=f"{tmp_path}/{teacher}.py")
    with pytest.raises(InputError, match=r"a\.py <- .*b\.py <- .*a\.py: .*none can be trained first.*teacher\.path"):
        recipe.make_stages(f"{tmp_path}/a.py", tmp_path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("configs/nothing.py", "the config: there is no file configs/nothing.py, and no config 'nothing'"),
        ("configs/narrow.py:paa_r7", "configs/narrow.py:paa_r7: 'paa_r7' is no row of the paper: .* such as paa_r"),
        ("configs/paper.py", "configs/paper.py: '' is no row of the paper: docs/paper.md lists"),
    ],
)
def test_a_config_that_does_not_build(config: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(InputError, match=message):
        recipe.make_stages(config, Path("runs"))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.train.epchs=3", "paa_r101_1x: unknown config key .*epchs.*epochs"),
        ("--config.train.epochs=x", "paa_r101_1x: flag --config.train.epochs=x: invalid literal"),
        ("--config.train.epochs=0", "paa_r101_1x: config.train: epochs is 0; it must be at least 1"),
    ],
)
def test_an_argument_that_the_config_refuses(
    argument: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(InputError, match=re.compile(message, re.DOTALL)):
        recipe.make_stages("configs/narrow.py:paa_r101_1x", tmp_path, [argument])


def test_a_command_that_is_under_way_saves_before_the_recipe_ends(tmp_path: Path) -> None:
    program = f"""
import pathlib, signal, sys, time
def save(*_):
    time.sleep(0.6)
    pathlib.Path("{tmp_path}/saved").touch()
    sys.exit(75)
signal.signal(signal.SIGTERM, save)
pathlib.Path("{tmp_path}/begun").touch()
time.sleep(60)
"""

    def interrupt() -> None:
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        recipe._call(["-c", program])
    assert (tmp_path / "saved").exists()


def test_the_first_failure_ends_it(tmp_path: Path) -> None:
    failing = stages.Stage(("-c", "raise SystemExit(3)"), "to be run", tmp_path / "note")
    after = stages.Stage(("-c", f"open('{tmp_path / 'ran'}', 'w')"), "to be run", None)
    with pytest.raises(InputError, match=r"exit status 3 of\n  python -c 'raise SystemExit\(3\)'\n.*call this program"):
        recipe.run([failing, after])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_done", [True, False], ids=["done", "cut off"])
def test_a_teacher_that_another_recipe_trains_is_waited_for(
    is_done: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other run ends its training; or it ends before, and this recipe goes on with it."""
    workdir, ran, holds = tmp_path / "run", tmp_path / "ran", threading.Event()
    checkpoint_folder = workdir / "checkpoints" / "1"
    workdir.mkdir()

    def other_run() -> None:
        with lock.hold(workdir):
            holds.set()
            time.sleep(1)
            (checkpoint_folder if is_done else checkpoint_folder / "optimizer").mkdir(parents=True)

    monkeypatch.setattr(recipe, "POLL_S", 0.05)
    thread = threading.Thread(target=other_run)
    thread.start()
    assert holds.wait(20)
    recipe.run([stages.Stage(("-c", f"open('{ran}', 'w')"), "to be run", None, workdir, 1)])
    thread.join()
    said = capsys.readouterr().out
    assert said.startswith(f"waiting for another run to end in {workdir}: process {os.getpid()} on")
    assert said.count("waiting") == 1
    assert ran.exists() != is_done


def test_of_two_recipes_that_start_at_the_same_moment_one_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its command finds the workdir free, and is refused when it gets there."""
    answers = iter([None, lock.Holder(), lock.Holder(), lock.Holder(), None])

    def living_holder(workdir: Path) -> lock.Holder | None:
        answer = next(answers)
        if answer is None and (tmp_path / "started").exists():
            (workdir / "checkpoints" / "1").mkdir(parents=True)
        return answer

    monkeypatch.setattr(recipe, "POLL_S", 0.0)
    monkeypatch.setattr(lock, "living_holder", living_holder)
    refused = ("-c", f"open('{tmp_path / 'started'}', 'x'); raise SystemExit(2)")
    recipe.run([stages.Stage(refused, "to be run", None, tmp_path, 1)])
    assert "waiting for another run to end" in capsys.readouterr().out and not list(answers)
