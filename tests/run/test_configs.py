"""Configs as programs that start others read them: the path, the keys and the words of a command line."""

from pathlib import Path

import pytest

from lad_jax.errors import InputError
from lad_jax.run.configs import load_options

BASE = str(Path(__file__).parents[2] / "configs" / "base.py")


def test_home_is_expanded_in_the_config_and_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text("from configs.base import get_config")
    monkeypatch.setenv("HOME", str(tmp_path))
    options = load_options("~/mine.py", ["--config.data.train.images=~/a", "--config.teacher.path="])
    assert options.data.train.images == f"{tmp_path}/a" and options.teacher.path == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--config.train.epchs=3"],
            r"base\.py: unknown config key config\.train\.epchs\. Did you mean 'epochs'",
        ),
        (["--noconfig.debgu"], r"unknown config key config\.debgu\. Did you mean 'debug'"),
        (["--config.model.backbone.depht", "18"], "Did you mean 'depth'"),
        (["--config.peers[0].path=a"], r"config\.peers has 0 entries"),
        (["--config.train.epochs=3", "train.epochs=4"], "nothing is meant by 'train.epochs=4'.* Did you mean --train"),
        (["runs/a", "b"], "nothing is meant by 'runs/a b'.* needs quotes"),
        (["--config.data.val.annotations=s3://b/a.json"], r"config\.data\.val\.annotations is 's3://b/a\.json'"),
    ],
)
def test_what_has_no_meaning_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_options(BASE, arguments)


def test_a_value_may_follow_its_flag() -> None:
    assert load_options(BASE, ["--config.train.epochs", "13", "--logtostderr"]).train.epochs == 13
