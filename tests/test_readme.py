"""Every command of the README runs, on networks and data small enough for a test."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lad_jax
from tests.commands.other_formats import NAMES, make_content, write_voc, write_yolo
from tests.run.tiny import TINY

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()

SMALL = [f"--config.{key}={value}" for key, value in TINY.items()]
SMALL += [f"--config.teacher.{key}={value}" for key, value in TINY.items() if key.startswith("model.")]
SMALL += ["--config.train.epochs=1", "--config.train.eval_every=1"]
YOURS = [
    *(flag for flag in SMALL if "data.source" not in flag),
    "--config.data.canvases=1",
]

CELLS = "--config=your_data_cpu:data/cells --workdir=runs/cells"

DEMO = "python -m scripts.demo --output=runs/demo"
STAGE = "python main.py --config=configs/demo.py:paa --workdir=runs/demo/paa"
"""The stage of the demo that commands after it work with."""
EXTRA = {
    "lad-jax import-voc data/cells --val_share=0.2 --coordinates=edges": [],
    "lad-jax check --config=your_data_cpu:data/cells": ["--sheet=runs/check"],
    f"lad-jax plan {CELLS}": YOURS,
    f"lad-jax train {CELLS}": [*YOURS, "--config.report.pictures=2"],
    f"lad-jax eval {CELLS}": YOURS,
    "lad-jax report runs/cells --output=runs/cells.html": [],
    "lad-jax predict --workdir=runs/cells --images=data/cells --threshold=0.5": [],
    "lad-jax export runs/cells --output=runs/cells.zip": [],
    "lad-jax import-yolo data/signs": [],
    f"lad-jax train {CELLS}-lad --config.method=lad --config.teacher.path=runs/cells": YOURS,
    "lad-jax options train": [],
    DEMO: ["--", *SMALL, "--config.report.pictures=2"],
    "lad-jax eval --config=demo:paa --workdir=runs/demo/paa": SMALL,
    "lad-jax predict --workdir=runs/demo/paa --images=docs/sample.png": [],
    "lad-jax study studies/methods.py": [],
    "lad-jax recipe paper:solad_r50_r101_1x": [],
}
"""The README's commands in its order, and what makes each small."""


def commands() -> list[str]:
    """The commands that the README gives, without alignment and comments."""
    found = re.findall(r"(?:^|`)((?:python -m|lad-jax (?!COMMAND)).*?)(?:`|$)", README, re.MULTILINE)
    return [re.sub(r" +", " ", line.split("#")[0]).strip() for line in found]


def test_this_test_knows_every_command() -> None:
    assert set(commands()) == set(EXTRA)


def test_links_and_named_files_exist() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        text = page.read_text()
        for link in re.findall(r"\]\((?!http)([^)#]+)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
        for file in re.findall(r"`(?:tests|lad_jax|configs|benchmarks|docs|scripts)/[\w/.]+`", text):
            assert (ROOT / file.strip("`")).exists(), f"{page.name}: {file}"


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make ([\w-]+)", README + (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.slow
def test_the_demo_runs(tmp_path: Path) -> None:
    _run(DEMO, EXTRA[DEMO], tmp_path)
    table = (tmp_path / "runs/demo/table.md").read_text()
    assert table.count("\n| R") == 8, table
    assert (
        "<title>teacher, paa, soft_label, lad, solad, colad and tal" in (tmp_path / "runs/demo/report.html").read_text()
    )


@pytest.mark.first
def test_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the demo, of which only the stage is run that others need."""
    write_voc(tmp_path / "data/cells", tmp_path / "data/cells", make_content("train", 15))
    for split in ("train", "val"):
        write_yolo(tmp_path / "data/signs/images" / split, tmp_path / "data/signs/labels" / split, make_content(split))
    (tmp_path / "data/signs/data.yaml").write_text(f"names: {json.dumps(NAMES)}")
    for command, extra in {STAGE: SMALL, **EXTRA}.items():
        if command != DEMO:
            _run(command, extra, tmp_path)
    [prediction] = json.loads((tmp_path / "runs/demo/paa/predictions/predictions.json").read_text())
    assert prediction["file"].endswith("sample.png")
    assert len(json.loads((tmp_path / "runs/cells/predictions/predictions.json").read_text())) == 15
    assert json.loads((tmp_path / "runs/cells-lad/config.json").read_text())["method"] == "lad"
    assert set(json.loads((tmp_path / "runs/cells/metrics.json").read_text())["student"]["per_class"]) == set(NAMES)
    _check_python(tmp_path, monkeypatch)
    for file in ("runs/check/train.png", "runs/check/val.png", "data/signs/train.json", "data/signs/val.json"):
        assert (tmp_path / file).stat().st_size > 100


def _check_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program of the README runs, and what was exported detects the same."""
    monkeypatch.chdir(folder)
    pictures = [path for path in sorted(Path("data/cells").iterdir()) if path.suffix in (".png", ".jpg")]
    shutil.copy(pictures[0], "photo.jpg")
    [program] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, Any] = {}
    exec(program, names)
    ours, exported = names["detector"](pictures[:2]), lad_jax.load("runs/cells.zip")(pictures[:2])
    for one, other in zip(ours, exported, strict=True):
        np.testing.assert_array_equal(one.names, other.names)
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-2)


def _words(command: str, folder: Path) -> list[str]:
    """The command, its files in `folder`."""
    here = re.sub(r"\b(runs|weights|data)/", rf"{folder}/\1/", command)
    program, *words = shlex.split(here)
    return [sys.executable, *(["-m", "lad_jax"] if program == "lad-jax" else []), *words]


def _run(command: str, extra: list[str], folder: Path) -> None:
    """Run a command with further arguments on files in `folder`."""
    words = [*_words(command, folder), *(word.replace("=runs/", f"={folder}/runs/") for word in extra)]
    result = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    if result.returncode:
        pytest.fail(f"{' '.join(words)}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}")
