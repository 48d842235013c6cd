"""The house (design 2): which room may import which, and that files stay small."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "lad_jax"
ROOMS = [
    *(
        "errors",
        "paths",
        "ending",
        "streams",
        "fields",
        "files",
        "rounding",
        "masked",
        "cell_rows",
        "mixture",
        "types",
        "boxes",
    ),
    *(
        "priors",
        "progress",
        "config",
        "config_files",
        "cli",
        "mesh",
        "hosts",
        "visualize",
        "data",
        "programs",
        "models",
        "losses",
    ),
    *("assign", "distill", "testing", "weights", "train", "evaluation", "options", "run"),
    *("report", "study", "commands"),
    *("__init__", "__main__"),
]
"""A room imports only rooms that stand before it."""
FILES = sorted(PACKAGE.rglob("*.py"))


def imported(path: Path):
    """Full names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_rooms_before_it(path: Path) -> None:
    room, names = room_of(path), set(imported(path))
    # `from lad_jax import load` names what `__init__` offers, not a room.
    rooms = {n.split(".")[1] if n.split(".")[1] in ROOMS else "__init__" for n in names if n.startswith("lad_jax.")}
    later = [other for other in rooms - {room} if ROOMS.index(other) > ROOMS.index(room)]
    assert not later, f"{room} stands before {later}"
    roots = {name.split(".")[0] for name in names}
    assert not roots & {"main", "configs", "tests", "benchmarks", "scripts"}
    if room == "data":
        assert not roots & {"jax", "flax", "optax", "orbax"}, "the loader's processes open no device"


def test_every_room_is_known() -> None:
    assert {room_of(path) for path in FILES} == set(ROOMS)


def test_files_stay_small() -> None:
    root = PACKAGE.parent
    most = {"lad_jax": 260, "configs": 260, "benchmarks": 260, "scripts": 260, "tests": 350}
    lines = {p: len(p.read_text().splitlines()) for folder in most for p in (root / folder).rglob("*.py")}
    assert {str(p): n for p, n in lines.items() if n > most[p.relative_to(root).parts[0]]} == {}
