"""Every family of backbones trains and evaluates by PAA, LAD and CoLAD, on real pictures."""

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

import lad_jax
from lad_jax.data import train_batches
from lad_jax.options import RunOptions
from lad_jax.run import train as loop
from lad_jax.run.train import train
from lad_jax.train.state import init_variables
from tests.networks import of_family
from tests.run.tiny import tiny

TEACHER_OF = {"resnext": "swin", "dcn": "resnext", "swin": "dcn"}
PART_OF = {"resnext": "conv2/kernel", "dcn": "conv_offset/kernel", "swin": "relative_position_bias_table"}
"""What no other family has."""


def options(shared: Path, family: str, **changes) -> RunOptions:
    """Two steps on one canvas, and an evaluation. Without weight decay, so that only gradients change a weight."""
    keys: dict = {
        f"data__{split}__{name}": str(shared / "data/coco" / path)
        for split in ("train", "val")
        for name, path in (("images", f"{split}2017"), ("annotations", f"annotations/instances_{split}2017.json"))
    }
    keys |= {"data__source": "coco", "data__short_side": 64, "data__long_side": 64, "data__canvases": 1}
    keys |= {"data__filter_empty": True, "optimizer__decay_epochs": (), "optimizer__weight_decay": 0.0}
    keys |= {"train__epochs": 1, "train__batch_size": 40, "evaluation__batch_size": 41}
    run = tiny(**(keys | changes))
    return replace(run, model=of_family(family), teacher=replace(run.teacher, model=of_family(TEACHER_OF[family])))


def check(workdir: Path, families: dict[str, str]) -> None:
    """Two steps and an evaluation of each trained network, in which what only its family has has learned."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    assert [line["step"] for line in steps] == [1, 2]
    assert all(line["positives_per_object"] > 1 for line in steps)
    metrics = json.loads((workdir / "metrics.json").read_text())
    assert set(metrics) == set(families)
    for number, (name, family) in enumerate(families.items()):
        assert 0 <= metrics[name]["overall"]["AP"] < 1
        trained = lad_jax.load(workdir, name)
        before = flatten_dict(init_variables(trained.model, number)["params"], sep="/")
        after = flatten_dict(trained.variables["params"], sep="/")
        own = [path for path in after if path.endswith(PART_OF[family])]
        assert own and all((before[path] != after[path]).any() for path in own)


def swin(shared: Path) -> RunOptions:
    """By AdamW, as in the paper, and in parts."""
    return options(shared, "swin", optimizer__kind="adamw", train__accumulate=2)


@pytest.fixture(scope="module")
def paa(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The workdir of a run of a family."""

    @functools.cache
    def trained(family: str) -> Path:
        workdir = tmp_path_factory.mktemp(family)
        train(swin(shared) if family == "swin" else options(shared, family), workdir)
        return workdir

    return trained


@pytest.mark.slow
@pytest.mark.parametrize("family", ["resnext", "dcn", "swin"])
def test_paa(family: str, paa: Callable[[str], Path]) -> None:
    check(paa(family), {"student": family})


@pytest.mark.slow
@pytest.mark.parametrize("family", TEACHER_OF)
def test_lad(family: str, paa: Callable[[str], Path], shared: Path, tmp_path: Path) -> None:
    """By the costs of another family."""
    train(options(shared, family, method="lad", teacher__path=str(paa(TEACHER_OF[family]))), tmp_path)
    check(tmp_path, {"student": family})


@pytest.mark.slow
@pytest.mark.parametrize("family", ["resnext", "dcn"])
def test_colad(family: str, shared: Path, tmp_path: Path) -> None:
    """Of two families, each of which is in one pair or both."""
    train(options(shared, family, method="colad"), tmp_path)
    check(tmp_path, {"student": family, "teacher": TEACHER_OF[family]})


@pytest.mark.slow
def test_a_resumed_run_leaves_out_the_same_blocks(
    paa: Callable[[str], Path], shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Swin's drop path draws by seed, step and part."""

    def one_batch(*args, **kwargs):
        yield next(train_batches(*args, **kwargs))
        raise RuntimeError("a crash")

    run = swin(shared)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_batches", one_batch)
        with pytest.raises(RuntimeError, match="a crash"):
            train(run, tmp_path)
    train(run, tmp_path)
    ours, expected = lad_jax.load(tmp_path).variables, lad_jax.load(paa("swin")).variables
    jax.tree.map(np.testing.assert_array_equal, ours, expected)
