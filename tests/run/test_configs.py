"""Configs as programs that start others read them: the path, the keys and the words of a command line."""

from pathlib import Path

import pytest

from lad_jax.errors import InputError
from lad_jax.run.configs import load_options
from lad_jax.run.prepare import check_options

CONFIGS = Path(__file__).parents[2] / "configs"
BASE = str(CONFIGS / "base.py")


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


@pytest.mark.parametrize("key", ["train.epchs", "optimizer.decay_epoch", "model.backbone.depht", "evalution"])
def test_an_unknown_key_of_the_command_line_is_explained_as_one_of_a_file(key: str, tmp_path: Path) -> None:
    *groups, name = key.split(".")
    change = "".join(f".{group}" for group in groups)
    source = "from configs import base\n\ndef get_config():\n    config = base.get_config()\n"
    (tmp_path / "mine.py").write_text(f"{source}    config{change}.{name} = 3\n    return config\n")
    said = []
    for config, arguments in ((str(tmp_path / "mine.py"), []), (BASE, [f"--config.{key}=3"])):
        with pytest.raises(InputError) as caught:
            load_options(config, arguments)
        said.append(str(caught.value).removeprefix(f"{config}: ").partition(" Known keys: "))
    (message, _, known), (other, _, known_there) = said
    assert message == other and "Did you mean" in message
    assert sorted(known[:-1].split(", ")) == sorted(known_there[:-1].split(", "))


def test_a_value_may_follow_its_flag() -> None:
    assert load_options(BASE, ["--config.train.epochs", "13", "--logtostderr"]).train.epochs == 13


@pytest.mark.parametrize("name", ["base", "your_data", "your_data_cpu"])
@pytest.mark.parametrize("epochs", [1, 5, 24])
def test_another_number_of_epochs_needs_no_other_schedule(name: str, epochs: int) -> None:
    check_options(load_options(str(CONFIGS / f"{name}.py"), [f"--config.train.epochs={epochs}"]), Path("run"))


@pytest.mark.parametrize(
    ("text", "value"),
    [("(0.5,0.9)", (0.5, 0.9)), ("0.5, 0.9", (0.5, 0.9)), (".25", (0.25,)), ("(8,11)", (8, 11)), ("9", (9,))],
)
def test_shares_and_epochs_on_the_command_line_stay_what_they_are(text: str, value: tuple[float, ...]) -> None:
    found = load_options(BASE, [f"--config.optimizer.decay_epochs={text}"]).optimizer.decay_epochs
    assert found == value and list(map(type, found)) == list(map(type, value))
