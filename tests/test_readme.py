"""Every command of the README runs, on networks and data small enough for a test."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lad_jax.models import Detector, ModelOptions, ResNetOptions
from lad_jax.train.state import init_variables
from lad_jax.weights import save_arrays, to_mmdet
from tests.commands.other_formats import NAMES, make_content, write_voc, write_yolo
from tests.run.tiny import TINY

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()

SMALL = [f"--config.{key}={value}" for key, value in TINY.items()]
SMALL += [f"--config.teacher.{key}={value}" for key, value in TINY.items() if key.startswith("model.")]
SMALL += ["--config.train.epochs=1", "--config.train.eval_every=1"]
YOURS = [
    *(flag for flag in SMALL if "data.source" not in flag),
    "--config.model.backbone.pretrained=",
    "--config.data.canvases=1",
    "--config.optimizer.learning_rate=0.01",  # of both configs: one compiled program
]

NARROW = ["--config.model.backbone.width=8", "--config.model.channels=16", "--config.model.norm_groups=4"]
"""Of a ResNet-50 with 80 classes, what makes its weights few."""

EXTRA = {
    "python -m scripts.demo --output=runs/demo": ["--", *SMALL],
    **{
        f"python main.py --config=configs/demo.py:{stage} --workdir=runs/demo/{stage}{rest}": SMALL
        for stage, rest in [
            ("teacher", ""),
            ("paa", ""),
            ("soft_label", " --config.teacher.path=runs/demo/teacher"),
            ("lad", " --config.teacher.path=runs/demo/teacher"),
            ("solad", " --config.teacher.path=runs/demo/teacher"),
            ("colad", ""),
            ("paa", " --mode=eval"),
            ("paa", " --mode=predict --images=docs/sample.png"),
        ]
    },
    "python -m lad_jax convert weights/paa_r50.pth --config=configs/base.py --classes=coco "
    "--workdir=runs/paa_r50": NARROW,
    "python main.py --config=configs/base.py --workdir=runs/paa_r50 --mode=predict --images=docs/sample.png": [],
    "python -m lad_jax convert runs/paa_r50 --to=mmdet --output=weights/paa_r50_again.pth": [],
    "python -m lad_jax import-voc data/cells --val_share=0.2 --coordinates=edges": [],
    "python -m lad_jax check --config=configs/your_data_cpu.py:data/cells": ["--sheet=runs/check"],
    "python main.py --config=configs/your_data_cpu.py:data/cells --workdir=runs/cells": YOURS,
    "python main.py --config=configs/your_data_cpu.py:data/cells --workdir=runs/cells --mode=eval": YOURS,
    "python -m lad_jax import-yolo data/signs": [],
    "python main.py --config=configs/your_data.py:data/cells --workdir=runs/cells-r50": YOURS,
    "python main.py --config=configs/your_data.py:data/cells --workdir=runs/cells-lad --config.method=lad "
    "--config.teacher.path=runs/cells-r50": YOURS,
    "python -m lad_jax recipe configs/paper.py:solad_r50_r101_1x": [],
    "python -m benchmarks.step --config=configs/base.py --height=256 --width=256 --batch=2": [
        *(flag for flag in SMALL if "train." not in flag),
        "--height=64",
        "--width=64",
        "--runs=1",
        "--profiled=1",
        "--beside=",
    ],
}
"""The README's commands in its order, and what makes each small."""


def commands() -> list[str]:
    """The commands that the README gives, without alignment and comments."""
    found = re.findall(
        r"(?:^|`)(python (?:main\.py|-m (?:scripts\.|benchmarks\.|lad_jax )).*?)(?:`|$)", README, re.MULTILINE
    )
    return [re.sub(r" +", " ", line.split("#")[0]).strip() for line in found]


def test_this_test_knows_every_command() -> None:
    assert set(commands()) == set(EXTRA)


def test_links_and_named_files_exist() -> None:
    """Also the tests that docs/differences.md names."""
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        text = page.read_text()
        for link in re.findall(r"\]\((?!http)([^)#]+)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
        for file in re.findall(r"`(?:tests|lad_jax|configs|benchmarks|docs)/[\w/.]+`", text):
            assert (ROOT / file.strip("`")).exists(), f"{page.name}: {file}"


def test_the_code_that_is_quoted_is_the_code() -> None:
    """Every line of docs/methods.md's quotes, and METHODS in the README, stands in the package."""

    def lines(text: str) -> list[str]:
        return [line.split("#")[0].strip() for line in text.splitlines()]

    sources = {line for file in (ROOT / "lad_jax").rglob("*.py") for line in lines(file.read_text())}
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/methods.md").read_text(), re.DOTALL)
    blocks += re.findall(r"```python\n(METHODS.*?)```", README, re.DOTALL)
    quoted = [line for block in blocks for line in lines(block)]
    assert len(quoted) > 100
    assert [line for line in quoted if line not in sources | {"", "..."}] == []


def test_tests_that_are_named_exist() -> None:
    """In the tables of docs/: `tests/file.py` (`test_one`, `test_two`). Each row of docs/bad_input.md names one."""
    named = re.compile(r"`(tests/[\w/]+\.py)` \(((?:`test_\w+`,? ?)+)\)")
    for page in ("differences", "bad_input"):
        for file, names in named.findall((ROOT / f"docs/{page}.md").read_text()):
            for name in re.findall(r"test_\w+", names):
                assert f"def {name}(" in (ROOT / file).read_text(), f"{page}: {file}: {name}"
    rows = re.findall(r"^\| (?!fault|-).*", (ROOT / "docs/bad_input.md").read_text(), re.MULTILINE)
    assert len(rows) > 50
    assert [row for row in rows if not named.search(row)] == []


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make ([\w-]+)", README + (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def save_narrow_r50(file: Path) -> None:
    model = ModelOptions(backbone=ResNetOptions(width=8), channels=16, norm_groups=4)
    file.parent.mkdir()
    save_arrays(file, to_mmdet(init_variables(Detector(model, 80), 0)), ("any",) * 80)


def test_commands_run(tmp_path: Path, torch) -> None:
    save_narrow_r50(tmp_path / "weights/paa_r50.pth")
    write_voc(tmp_path / "data/cells", tmp_path / "data/cells", make_content("train", 15))
    for split in ("train", "val"):
        write_yolo(tmp_path / "data/signs/images" / split, tmp_path / "data/signs/labels" / split, make_content(split))
    (tmp_path / "data/signs/data.yaml").write_text(f"names: {json.dumps(NAMES)}")
    demo, *others = EXTRA
    printed = _run(demo, tmp_path).splitlines()
    for command in others:
        # Most of the demo's stages are in the README one by one: what it ran itself need not run again.
        if not any(set(_words(command, tmp_path)) <= set(line.split()) for line in printed):
            _run(command, tmp_path)
    table = (tmp_path / "runs/demo/table.md").read_text()
    assert table.count("\n| R") == 7, table
    stages = ("teacher", "paa", "soft_label", "lad", "solad", "colad")
    for name in ("responsible", *(f"detections_{stage}" for stage in stages)):
        assert (tmp_path / f"runs/demo/{name}.png").stat().st_size > 10_000
    [prediction] = json.loads((tmp_path / "runs/demo/paa/predictions/predictions.json").read_text())
    assert prediction["file"].endswith("sample.png")
    assert json.loads((tmp_path / "runs/cells-lad/config.json").read_text())["method"] == "lad"
    assert set(json.loads((tmp_path / "runs/cells/metrics.json").read_text())["student"]["per_class"]) == set(NAMES)
    for file in ("runs/check/train.png", "runs/check/val.png", "data/signs/train.json", "data/signs/val.json"):
        assert (tmp_path / file).stat().st_size > 100


def _words(command: str, folder: Path) -> list[str]:
    """The command, its files in `folder`."""
    here = re.sub(r"\b(runs|weights|data)/", rf"{folder}/\1/", command)
    return [sys.executable, *shlex.split(here)[1:]]


def _run(command: str, folder: Path) -> str:
    """Its output."""
    words = [*_words(command, folder), *(word.replace("=runs/", f"={folder}/runs/") for word in EXTRA[command])]
    result = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    if result.returncode:
        pytest.fail(f"{' '.join(words)}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}")
    return result.stdout
