"""From ConfigDict to options and back, and the messages of what does not fit."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

import ml_collections
import pytest

from lad_jax.config import check_key, from_config, to_config
from lad_jax.errors import InputError
from lad_jax.fields import option


@dataclass(frozen=True)
class Inner:
    name: Literal["a", "b"] = "a"
    sizes: tuple[int, ...] = (1, 2)
    pair: tuple[float, float] = (0.5, 1.0)


@dataclass(frozen=True)
class Outer:
    rate: float = 0.1
    count: int = 3
    flag: bool = False
    text: str = ""
    inner: Inner = Inner()
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError("count must not be negative")


def test_defaults():
    assert from_config(Outer, {}) == Outer()


def test_values_and_nesting():
    config = ml_collections.ConfigDict({"rate": 2, "flag": True, "inner": {"name": "b", "sizes": [4], "pair": (1, 2)}})
    options = from_config(Outer, config)
    assert from_config(Outer, {"limit": None}).limit is None and from_config(Outer, {"limit": 3}).limit == 3
    assert options == Outer(rate=2.0, flag=True, inner=Inner("b", (4,), (1.0, 2.0)))
    assert type(options.rate) is float and type(options.inner.pair[0]) is float


def test_round_trip():
    options = Outer(rate=0.3, inner=Inner(name="b", sizes=()))
    config = to_config(options)
    assert config.inner.name == "b"
    assert from_config(Outer, config) == options
    config.count = 8
    assert from_config(Outer, config) == dataclasses.replace(options, count=8)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"rat": 1.0}, ["config.rat", "Did you mean 'rate'?", "count"]),
        ({"inner": {"nmae": "a"}}, ["config.inner.nmae", "'name'", "sizes"]),
        ({"inner": {"name": "c"}}, ["config.inner.name", "'c'", "'a', 'b'"]),
        ({"inner": 3}, ["config.inner", "group of keys", "3"]),
        ({"inner": {"sizes": 3}}, ["config.inner.sizes", "tuple"]),
        ({"inner": {"sizes": (1, "x")}}, ["config.inner.sizes[1]", "int", "'x'"]),
        ({"inner": {"pair": (1.0, 2.0, 3.0)}}, ["config.inner.pair", "2 entries"]),
        ({"count": 1.5}, ["config.count", "int", "1.5"]),
        ({"count": True}, ["config.count", "int", "True"]),
        ({"rate": True}, ["config.rate", "float", "True"]),
        ({"rate": "fast"}, ["config.rate", "float", "'fast'"]),
        ({"limit": "x"}, ["config.limit", "int", "'x'"]),
        ({"flag": 1}, ["config.flag", "bool", "1"]),
        ({"text": None}, ["config.text", "str", "None"]),
        ({"count": -1}, ["config", "must not be negative"]),
    ],
)
def test_what_does_not_fit_is_named(config, words):
    with pytest.raises(InputError) as caught:
        from_config(Outer, ml_collections.ConfigDict(config))
    for word in words:
        assert word in str(caught.value)


@dataclass(frozen=True)
class Places:
    folder: str = option("", path=True)
    note: str = ""


def test_paths_are_expanded_wherever_options_are_made(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    assert from_config(Places, {"folder": "~/a", "note": "~/a"}) == Places("/home/ann/a", "~/a")
    assert from_config(Places, {"folder": ""}) == Places()
    with pytest.raises(InputError, match=r"config\.folder is 'gs://b'"):
        from_config(Places, {"folder": "gs://b", "note": "gs://b"})


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("rat", "unknown config key config.rat. Did you mean 'rate'? Known keys: count, flag, inner, "),
        ("inner.nmae", "unknown config key config.inner.nmae. Did you mean 'name'?"),
        ("rate.x", "config.rate is no group of keys: there is no config.rate.x."),
        ("inner.pair[2]", "config.inner.pair has 2 entries: there is no config.inner.pair[2]."),
        ("rate[0]", "config.rate is no list: there is no config.rate[0]."),
        ("inner.", "config.inner. is no key: names with dots between them, such as config.train.epochs."),
        ("inner..name", "config.inner..name is no key"),
        ("inner.pair[x]", "config.inner.pair[x] is no key"),
        ("", "config. is no key"),
    ],
)
def test_keys_of_a_command_line_are_known_as_those_of_a_file(key, message):
    config = to_config(Outer())
    for known in ("rate", "inner.name", "inner.pair[1]", "inner"):
        check_key(config, known)
    with pytest.raises(InputError) as caught:
        check_key(config, key)
    assert message in str(caught.value)


def test_a_union_that_is_not_known_is_named():
    @dataclass(frozen=True)
    class Options:
        k: int | str = 3

    with pytest.raises(InputError, match=r"^assigner\.options\.k is int \| str: of unions there are"):
        from_config(Options, {"k": 4}, key="assigner.options")
