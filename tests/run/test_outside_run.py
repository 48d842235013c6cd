"""Runs with an assigner from outside, from a folder outside of the checkout, as docs/assigners.md says."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

import lad_jax
from lad_jax.errors import InputError
from lad_jax.run.evaluate import evaluate
from lad_jax.run.predict import predict
from lad_jax.run.train import train
from tests import documented
from tests.run.tiny import TINY, tiny

ROOT = Path(__file__).parents[2]
SMALL = [f"--config.{key}={value}" for key, value in TINY.items()]
SMALL += [f"--config.teacher.{key}={value}" for key, value in TINY.items() if key.startswith("model.")]
SMALL += ["--config.train.epochs=1", "--config.train.eval_every=1"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, of which no module stays imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in ("nearest", "guided"):
        sys.modules.pop(name, None)


def python(folder: Path, *words: str) -> None:
    """Run Python as a user does who has installed the package, with his files in `folder`."""
    program = f"import sys; sys.path.insert(1, {str(ROOT)!r}); import runpy; sys.argv = sys.argv[1:]; "
    program += "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
    result = subprocess.run([sys.executable, "-c", program, *words], cwd=folder, capture_output=True, text=True)
    assert not result.returncode, result.stderr[-3000:]


@pytest.mark.slow
def test_the_page_as_a_new_user_follows_it(folder):
    """The example is checked, and trained with plainly and under LAD."""
    (folder / "nearest.py").write_text(documented.SOURCE)
    (folder / "check_nearest.py").write_text(documented.CHECK)
    python(folder, "check_nearest")
    assert len(documented.COMMANDS) == 2
    for command in documented.COMMANDS:
        words = shlex.split(re.sub(r"configs/", f"{ROOT}/configs/", command.removeprefix("python -m ")))
        python(folder, *words, *SMALL)
    options = lad_jax.load("runs/lad").options.assigner
    assert options.name == "nearest:make_nearest" and options.options == {"near": 40}


@pytest.mark.slow
def test_what_was_trained_is_used_without_the_module(folder):
    (folder / "nearest.py").write_text(documented.SOURCE)
    options = tiny(assigner__name="nearest:make_nearest", train__epochs=1, train__eval_every=1)
    train(options, Path("run"))
    (folder / "nearest.py").unlink()
    del sys.modules["nearest"]
    cv2.imwrite("picture.png", np.zeros((60, 80, 3), np.uint8))
    lad_jax.load("run")("picture.png")
    predict(options, Path("run"), ["picture.png"], Path("out"))
    evaluate(options, Path("run"))
    assert "nearest" not in sys.modules
    with pytest.raises(InputError, match="there is no module 'nearest'"):
        train(options, Path("run"))


def test_a_module_that_is_not_there_ends_the_run_before_any_data_is_read(folder):
    options = tiny(assigner__name="absent:make", data__source="coco", data__train__annotations="absent.json")
    with pytest.raises(InputError, match="there is no module 'absent'"):
        train(options, Path("run"))
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("of", "changed", "words"),
    [
        (
            "compared=near",
            "compared=near & (predictions.quality_logit > 0)[None]",
            r"on the run's first batch .* law 'by_boxes': .*table\.",
        ),
        (
            "compared=near",
            "compared=near[0]",
            r"on the run's first batch .* law 'shapes': .*table\.compared is bool\[\d+\] in place of bool\[\d+, ",
        ),
        ("return CostTable", "CostTable", r"on the run's first batch .* law 'shapes': .*`cost` returned .* NoneType"),
        (
            "1 - overlap",
            "predictions.quality_logit[None] - overlap",
            r"on the run's first batch .* law 'quality': .*TypeError",
        ),
        ("scene.priors.valid.astype", "-scene.priors.valid.astype", r"on the run's first batch .* law 'weights': "),
    ],
)
def test_a_broken_law_ends_the_run_before_its_first_step(of, changed, words, folder):
    source = documented.SOURCE.replace(of, changed)
    assert source != documented.SOURCE
    (folder / "guided.py").write_text(source)
    with pytest.raises(InputError, match=r"config\.assigner\.name is 'guided:make_nearest', but " + words):
        train(tiny(assigner__name="guided:make_nearest"), Path("run"))
    assert not list(Path("run").glob("checkpoints/*"))


def test_one_that_does_not_fit_ends_the_run_before_any_data_is_read(folder):
    source = documented.SOURCE.replace("Assigner(cost, partition)", "Assigner(cost, partition, static=True)")
    assert source != documented.SOURCE
    (folder / "guided.py").write_text(source)
    changes = {"teacher__path": "absent", "data__source": "coco", "data__train__annotations": "absent.json"}
    with pytest.raises(InputError, match="config: assigner 'guided:make_nearest' assigns by boxes alone"):
        train(tiny(method="lad", assigner__name="guided:make_nearest", **changes), Path("run"))
    assert not Path("run").exists()
