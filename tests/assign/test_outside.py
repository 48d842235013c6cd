"""An assigner from outside: how it is named, found and given its options, and what is said where it is not there."""

import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lad_jax.assign import Assigner, AssignerOptions, make_assigner
from lad_jax.assign.outside import assigner_from
from lad_jax.config import FreeGroup, from_config, to_config
from lad_jax.errors import InputError
from lad_jax.options import RunOptions
from lad_jax.run.meta import as_json, differences
from tests import documented

HEAD = "from dataclasses import dataclass\nfrom lad_jax.assign import Assigner\n"
OPTIONS = f"{HEAD}@dataclass(frozen=True)\nclass Options:\n    k: int = 3\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, of which no module stays imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in ("outside", "nearest"):
        sys.modules.pop(name, None)


def options_of(name="outside:make", **options) -> AssignerOptions:
    return from_config(RunOptions, {"assigner": {"name": name, "options": options}}).assigner


def test_its_options_reach_it(folder):
    (folder / "outside.py").write_text(
        HEAD + "@dataclass(frozen=True)\nclass Options:\n    k: int = 3\n    sides: tuple[float, ...] = (1.0,)\n"
        "def make(options: Options):\n    return Assigner(options, lambda: None)\n"
    )
    assert vars(make_assigner(options_of()).cost) == {"k": 3, "sides": (1.0,)}
    assert vars(make_assigner(options_of(k=5, sides=(2, 3))).cost) == {"k": 5, "sides": (2.0, 3.0)}
    with pytest.raises(InputError, match=r"unknown config key config\.assigner\.options\.kk\. Did you mean 'k'"):
        make_assigner(options_of(kk=5))
    with pytest.raises(InputError, match=r"config\.assigner\.options\.k must be of type int"):
        make_assigner(options_of(k=5.5))


@pytest.mark.parametrize(
    ("source", "name", "options", "words"),
    [
        (None, "outside:make", {}, r"there is no module 'outside' in the current folder \(/.*PYTHONPATH"),
        (None, "outside.parts:make", {}, r"there is no module 'outside' in the current folder"),
        ("", "outside:make", {}, r"outside\.py has no function 'make'"),
        ("def make_it(): pass", "outside:make_if", {}, r"has no function 'make_if'\. Did you mean 'make_it'"),
        ("make = 3", "outside:make", {}, r"has no function 'make'"),
        ("import functools\nmake = functools.partial(int, 3)", "outside:make", {}, r"has no function 'make'"),
        ("def make(): return 3", "outside:make", {}, r"outside:make returned an object of type int, no assigner"),
        ("def make(k): pass", "outside:make", {}, r"needs a dataclass of its options to annotate its parameter 'k'"),
        (
            f"{HEAD}@dataclass(frozen=True)\nclass Options:\n    k: int\ndef make(options: Options): pass",
            "outside:make",
            {"k": 3},
            r"outside:make: Options\.k has no default: give every field a default",
        ),
        (
            f"{OPTIONS}def make(*, options: Options): pass",
            "outside:make",
            {},
            r"outside:make is called with .*\(too many",
        ),
        (
            f"{OPTIONS}def make(options: Options, n: int): pass",
            "outside:make",
            {},
            r"\(missing a required argument: 'n'\): write it as `def make\(options: MyOptions\) -> Assigner`",
        ),
        (
            "def make(options: 'Absent'): pass",
            "outside:make",
            {},
            r"outside:make has an annot.*'Absent' is not defined\)",
        ),
        (
            f"{OPTIONS}    side: 'Absent' = 1\ndef make(options: Options): pass",
            "outside:make",
            {},
            r"outside:make: Options has an annotation .* not defined\): define or import .* top of its module",
        ),
        ("def make(): pass", "outside.py:make", {}, r"leave out \.py, as in 'outside:make'"),
        ("def make(): pass", "outside:make", {"k": 3}, r"options has k, but outside:make takes no options"),
        (
            "# one\nimport absent_library",
            "outside:make",
            {},
            r"outside cannot be imported\. ModuleNotFoundError: .* 'absent_library' \(.*outside\.py, line 2\)",
        ),
        ("from lad_jax import absent", "outside:make", {}, r"ImportError: cannot import name 'absent' .*line 1\)"),
    ],
)
def test_what_is_not_there_is_said(source, name, options, words, folder):
    if source is not None:
        (folder / "outside.py").write_text(source)
    with pytest.raises(InputError, match=words):
        make_assigner(options_of(name, **options))


@pytest.mark.parametrize("make", [functools.partial(int, 3), Assigner])
def test_what_is_no_function_makes_no_assigner(make):
    with pytest.raises(InputError, match=rf"type {type(make).__name__} is neither a function .* as in `lambda: make\("):
        assigner_from(make)


def test_further_parameters_have_defaults(folder):
    (folder / "outside.py").write_text(
        f"{OPTIONS}def make(options: Options, n: int = 2):\n    return Assigner((options.k, n), None)"
    )
    assert make_assigner(options_of(k=5)).cost == (5, 2)


def test_an_error_of_the_module_keeps_its_traceback(folder):
    (folder / "outside.py").write_text("1 / 0")
    with pytest.raises(ZeroDivisionError):
        make_assigner(options_of())


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("otta", {}, [r"config.assigner: name is 'otta'; allowed: 'paa', ", "'module:function'", "mean 'ota'?"]),
        ("outside:", {}, ["'module:function'"]),
        ("out side:make", {}, ["'module:function'"]),
        ("free_anchor", {}, ["which is a loss", "config.method to 'free_anchor'", "no partition"]),
        ("paa", {"k": 3}, ["options has k", "config.assigner.paa"]),
        ("outside:make", {"k": object()}, ["config.assigner.options.k must be a number"]),
    ],
)
def test_names_and_options_are_checked_without_any_import(name, options, words):
    with pytest.raises(InputError) as caught:
        options_of(name, **options)
    assert [word for word in words if word not in str(caught.value)] == []
    assert "outside" not in sys.modules


def test_free_options_are_compared_and_come_back_from_a_file():
    options = from_config(
        RunOptions, {"assigner": {"name": "a.b:c", "options": {"k": 1, "inner": {"sides": [1, 2.5]}}}}
    )
    assert options.assigner.options == FreeGroup(k=1, inner=FreeGroup(sides=(1, 2.5)))
    assert from_config(RunOptions, as_json(options)) == options == from_config(RunOptions, to_config(options))
    assert hash(options.assigner) == hash(from_config(RunOptions, as_json(options)).assigner)
    other = from_config(RunOptions, {"assigner": {"name": "a.b:c", "options": {"k": 2}}})
    assert [key for key, *_ in differences(options, other, lambda field: True)] == ["assigner.options"]


def test_the_documented_config(folder):
    (folder / "nearest.py").write_text(documented.SOURCE)
    config = to_config(RunOptions())
    exec(documented.CONFIG, {"config": config})
    options = from_config(RunOptions, config).assigner
    assert options.options == {"near": 40}
    make_assigner(options)
