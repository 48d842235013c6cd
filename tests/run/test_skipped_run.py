"""A run with steps that are left out: what it writes, and that it goes on where it was cut off."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from lad_jax.errors import InputError
from lad_jax.programs import Programs
from lad_jax.run import train as loop
from lad_jax.run.train import train
from lad_jax.train.state import TrainState
from tests.run.tiny import tiny

BAD = (3, 4)
"""Steps, counted from 1, that see NaN for weights: the program is that of every tiny run, compiled once for all."""
OPTIONS = {"train__checkpoint_every": 1, "train__eval_every": 2, "train__log_every": 3}


@pytest.fixture(autouse=True)
def bad_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Programs.__call__

    def run(step, state, *rest):
        if not isinstance(state, TrainState) or int(state.step) + 1 not in BAD:
            return original(step, state, *rest)
        weights = state.variables
        with jax.transfer_guard("allow"):
            poisoned = jax.tree.map(lambda x: x * jnp.nan, weights)
        state, output = original(step, state._replace(variables=poisoned), *rest)
        assert jax.tree.all(jax.tree.map(lambda x: jnp.isnan(x).all(), state.variables))
        return state._replace(variables=weights), output

    monkeypatch.setattr(Programs, "__call__", run)


def cut_off(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Make the next run end before a step, as by a kill."""
    original, left = loop.split_batch, iter(range(1, step))

    def split_batch(*args):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(loop, "split_batch", split_batch)


def logged(workdir: Path) -> list[dict]:
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("images_per_s", "seconds")} for line in lines]


def weights(workdir: Path, step: int) -> list[np.ndarray]:
    with ocp.StandardCheckpointer() as reader:
        folder = (workdir / "checkpoints" / str(step)).absolute()
        items = [reader.restore(folder / item) for item in ("variables", "optimizer")]
    return [np.asarray(x) for x in jax.tree.leaves(items)]


def checkpoints(workdir: Path) -> list[str]:
    return sorted(folder.name for folder in (workdir / "checkpoints").iterdir())


def test_a_run_goes_on_past_steps_left_out_and_where_it_was_cut_off(tmp_path: Path, caplog, monkeypatch) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(tiny(**OPTIONS), whole)
    for number, step in enumerate(BAD, start=1):
        assert f"step {step} left out, {number} in a row: student/loss_class not finite; image ids" in caplog.text
    steps = [line for line in logged(whole) if "evaluation" not in line]
    assert [line["step"] for line in steps] == [1, 2, 3, 4, 5, 6]
    assert [line["skipped_steps"] for line in steps] == [float(line["step"] in BAD) for line in steps]
    assert [line["step"] for line in steps if "loss" not in line] == list(BAD)

    with monkeypatch.context() as patch:
        cut_off(patch, 6)
        with pytest.raises(KeyboardInterrupt):
            train(tiny(**OPTIONS), cut)
    assert checkpoints(cut) == ["2", "5"], "none from between them: step 4 was left out"
    train(tiny(**OPTIONS), cut)
    assert logged(cut) == logged(whole)
    for x, y in zip(weights(cut, 6), weights(whole, 6), strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_run_that_ends_leaves_a_checkpoint_from_before(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"step {BAD[0]} cannot be applied"):
        train(tiny(**OPTIONS, train__on_non_finite="stop"), tmp_path)
    assert checkpoints(tmp_path) == ["1", "2"]
