"""A plan says what the run then does, and leaves nothing behind."""

import re
from pathlib import Path

import pytest

from lad_jax.data import open_datasets
from lad_jax.errors import InputError
from lad_jax.run import checkpoint
from lad_jax.run.preview import preview
from tests.run.tiny import tiny


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], Path]:
    """The lines of a tiny run's plan, and the workdir that it was made for."""
    folder, printed = tmp_path_factory.mktemp("plan"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", printed.append)
        preview(tiny(), folder / "run")
    lines = printed[0].splitlines()
    return {line[:12].strip(): line[12:] for line in lines}, folder / "run"


def test_nothing_is_left(plan: tuple[dict[str, str], Path]) -> None:
    assert not plan[1].exists()


def test_it_says_what_the_run_does(plan: tuple[dict[str, str], Path], paa_workdir: Path) -> None:
    lines, _ = plan
    train_set, val_set = open_datasets(tiny().data)
    steps = int(checkpoint.newest(paa_workdir).name)
    assert lines["steps"].startswith(f"{steps}: {tiny().train.epochs} epochs of ")
    assert lines["pictures"] == f"{len(train_set.records)} to train on, {len(val_set.records)} to validate"
    assert lines["classes"] == f"{len(train_set.class_names)}: {', '.join(train_set.class_names)}"
    n_objects = [len(record.boxes) for record in train_set.records]
    assert lines["objects"].startswith(f"{sum(n_objects) / len(n_objects):.1f} a picture, at most {max(n_objects)};")


def test_its_times_fit_each_other(plan: tuple[dict[str, str], Path]) -> None:
    lines, _ = plan
    seconds, rate = map(float, re.findall(r"[\d.e+-]+", lines["a step"])[:2])
    assert seconds * rate == pytest.approx(tiny().train.batch_size, rel=0.02)
    assert re.fullmatch(r"\d+ s, \d times; .*", lines["evaluation"])
    assert re.fullmatch(r"\d+ (s|min), of which \d+ s to compile, here and now", lines["the run"])
    whole, part = (float(size) for size in re.findall(r"([\d.]+) MB", lines["memory"]))
    assert whole > part, "weights and optimiser are a part"


def test_a_run_that_would_not_start_has_no_plan(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="decay"):
        preview(tiny(optimizer__decay_epochs=(50,)), tmp_path)
    with pytest.raises(InputError, match="the workdir of this run itself"):
        preview(tiny(model__pretrained=str(tmp_path)), tmp_path)
