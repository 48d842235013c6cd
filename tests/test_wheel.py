"""The wheel: what `pip install` brings is enough, in any folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the packages that the wheel has."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # setuptools writes beside the sources
    source.mkdir()
    for name in ("lad_jax", "configs", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        (source / name).symlink_to(ROOT / name)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*build, str(source)], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(folder / "packages")
    return folder / "packages"


def run(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python with these arguments, which finds the packages of the wheel and not the sources."""
    environment = os.environ | {"PYTHONPATH": str(installed)}
    return subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


def test_every_file_is_there(installed: Path) -> None:
    there = {str(path.relative_to(installed)) for path in installed.rglob("*.py")}
    package = {str(path.relative_to(ROOT)) for path in (ROOT / "lad_jax").rglob("*.py")}
    assert there == package | {f"lad_jax/configs/{path.name}" for path in (ROOT / "configs").glob("*.py")}
    assert (installed / "lad_jax" / "py.typed").exists()
    web = Path("lad_jax", "report", "web")
    assert {path.name for path in (installed / web).iterdir()} == {path.name for path in (ROOT / web).iterdir()}
    assert {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")} == {"lad_jax"}


def test_configs_go_by_name_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    """Teachers too, which recipes name by their path in the repository; a path that exists wins over a name."""
    shown = run(installed, tmp_path, "-m", "lad_jax", "recipe", "narrow:lad_r18_r50_1x")
    assert shown.returncode == 0, shown.stderr
    assert [line.split(" --workdir")[0] for line in shown.stdout.splitlines()] == [
        "python -m lad_jax train --config=configs/narrow.py:paa_r50_1x",
        "python -m lad_jax train --config=narrow:lad_r18_r50_1x",
        "python -m lad_jax eval --config=narrow:lad_r18_r50_1x",
    ]
    (tmp_path / "narrow").write_text("from lad_jax.configs.demo import get_config")
    shown = run(installed, tmp_path, "-m", "lad_jax", "recipe", "narrow:lad_r18_r50_1x")
    assert shown.returncode == 2 and "lad_r18_r50_1x" in shown.stderr


def test_a_name_that_there_is_not(installed: Path, tmp_path: Path) -> None:
    shown = run(installed, tmp_path, "-m", "lad_jax", "recipe", "dmo:lad")
    assert shown.returncode == 2
    assert shown.stderr == (
        "error: the config: there is no file dmo, and no config 'dmo' in the package. Did you mean 'demo'?\n"
    )


def test_imports_are_lazy(installed: Path, tmp_path: Path) -> None:
    """Importing the package loads neither jax nor anything else that takes long."""
    loaded = run(installed, tmp_path, "-c", "import lad_jax, sys; print(*sys.modules)").stdout.split()
    assert "lad_jax" in loaded and not {"jax", "numpy", "cv2", "ml_collections"} & set(loaded)
