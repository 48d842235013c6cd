"""Who may import whom (design 2), and that files stay small."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "lad_jax"
NOUNS = {"types", "errors"}
PURE = NOUNS | {"boxes", "masked", "mixture", "losses", "priors"}
MAY_IMPORT = {
    "types": set(),
    "errors": set(),
    "progress": set(),
    "masked": set(),
    "mixture": {"masked"},
    "boxes": {"types"},
    "priors": {"types"},
    "losses": {"boxes", "mixture", "masked", "types"},
    "files": set(),
    "config": {"errors"},
    "cli": {"errors"},
    "convert": NOUNS | {"cli", "config", "data", "distill", "models", "options", "train"},
    "assign": PURE - {"priors"},
    "distill": {"assign", "mixture", "masked", "losses", "types"},
    "models": {"types", "errors", "boxes", "priors"},
    "data": NOUNS,
    "visualize": NOUNS,
    "programs": {"types"},
    "evaluation": NOUNS | {"boxes", "files", "priors", "data", "programs", "progress", "visualize"},
    "options": {"assign", "data", "distill", "errors", "evaluation", "losses", "models", "train", "types"},
    "train": PURE
    | {"assign", "config", "convert", "data", "distill", "evaluation", "files", "models", "options", "programs"}
    | {"progress"},
    "predict": NOUNS | {"data", "evaluation", "visualize"},
    "run": NOUNS | {"data", "evaluation", "models", "options", "predict", "train"},
    "recipe": {"cli", "config", "errors", "options", "train"},
    "__init__": NOUNS | {"config", "options", "run", "train"},
}
ALSO = {
    "data/import_voc.py": {"cli"},
    "data/import_yolo.py": {"cli"},
    "data/check.py": {"cli", "config", "options"},
    "data/checking/program.py": {"visualize"},
    "data/checking/sheet.py": {"visualize"},
}
"""Programs need more than the rest of their room: no other file of it imports these."""
FILES = sorted(PACKAGE.rglob("*.py"))


def imported(path):
    """Full names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports(path):
    room, names = room_of(path), set(imported(path))
    rooms = {name.split(".")[1] for name in names if name.startswith("lad_jax.")} & set(MAY_IMPORT)
    allowed = MAY_IMPORT[room] | ALSO.get(path.relative_to(PACKAGE).as_posix(), set())
    assert rooms - {room} <= allowed, f"{room} must not import {rooms - {room} - allowed}"
    roots = {name.split(".")[0] for name in names}
    assert not roots & {"main", "configs", "tests", "benchmarks"}
    if room == "data":
        assert not roots & {"jax", "flax", "optax", "orbax"}
    if room == "convert" and path.stem not in ("__main__", "program"):
        assert not rooms & {"options", "train"}, "train loads weights by these: only the command line is built on train"


def test_every_room_is_known():
    assert {room_of(path) for path in FILES} <= set(MAY_IMPORT)


def test_files_stay_small():
    root = PACKAGE.parent
    files = [p for folder in ("lad_jax", "tests", "benchmarks", "configs") for p in (root / folder).rglob("*.py")]
    assert {str(p): n for p in files if (n := len(p.read_text().splitlines())) > 350} == {}
