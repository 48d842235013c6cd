"""From options to the training step: what is a constant of its program, and what is data."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.monitoring
import pytest

from lad_jax.assign import Assigner, AssignerOptions, make_assigner
from lad_jax.data import make_plan, open_dataset
from lad_jax.programs import blank_shapes, shapes_of
from lad_jax.run.build import loss_setting, make_models, make_train_step
from lad_jax.run.train import train
from lad_jax.train.state import init_state, init_variables
from tests.networks import ONE_DEVICE, of_family
from tests.run.tiny import tiny

PAA = make_assigner(AssignerOptions())
CENTRAL = PAA._replace(quality_target="centerness")
SOFT = PAA._replace(soft_target=True)


@pytest.mark.parametrize(
    ("changes", "assigner", "expected"),
    [
        ({}, PAA, ("focal", "quality", "iou")),
        ({"model.iou_branch": False}, PAA, ("focal", "uniform", "iou")),
        ({"method": "lad"}, PAA, ("focal", "uniform", "iou")),
        ({"method": "lad", "losses.box_weighting": "quality"}, PAA, ("focal", "quality", "iou")),
        ({"losses.box_weighting": "quality", "model.iou_branch": False}, PAA, ("focal", "quality", "iou")),
        ({"losses.box_weighting": "uniform"}, PAA, ("focal", "uniform", "iou")),
        ({"losses.class_loss": "quality_focal"}, PAA, ("quality_focal", "quality", "iou")),
        ({}, CENTRAL, ("focal", "quality", "centerness")),
        ({"model.iou_branch": False}, CENTRAL, ("focal", "quality", "centerness")),
        ({"losses.quality_target": "iou"}, CENTRAL, ("focal", "quality", "iou")),
        ({"method": "lad", "losses.quality_target": "centerness"}, PAA, ("focal", "uniform", "centerness")),
        ({}, SOFT, ("quality_focal", "target", "iou")),
        ({"method": "lad", "model.iou_branch": False}, SOFT, ("quality_focal", "target", "iou")),
    ],
)
def test_losses_by_option_assigner_and_method(
    changes: dict[str, Any], assigner: Assigner, expected: tuple[str, ...]
) -> None:
    options = tiny(**changes)
    setting = loss_setting(options, assigner, options.model)
    assert (setting.class_loss, setting.box_weighting, setting.quality_target) == expected


@pytest.mark.parametrize(("method", "n_peers"), [("plain", 0), ("lad", 0), ("colad", 0), ("colad", 2)])
def test_all_networks_of_a_run_compute_in_its_precision(method: Any, n_peers: int) -> None:
    options = replace(tiny(method=method, dtype="bfloat16"), peers=(tiny().teacher,) * n_peers)
    precisions = {name: model.dtype for name, model in make_models(options, 3).items()}
    assert precisions == dict.fromkeys(options.roles.networks, "bfloat16")


def lowered(seed: int) -> str:
    """The text of the step of a network that draws in training (drop path)."""
    options = replace(tiny(seed=seed), model=of_family("swin"))
    train_set = open_dataset(options.data, "train")
    plan = make_plan(train_set, options.data, batch_size=options.train.batch_size, seed=seed)
    models = make_models(options, len(train_set.class_names))
    step = make_train_step(options, models, steps_per_epoch=plan.steps_per_epoch, mesh=ONE_DEVICE)

    def start():
        variables = {name: init_variables(model, 0) for name, model in models.items()}
        return init_state(variables, step.optimizer, seed=seed, ema=False)

    where = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    [batch] = blank_shapes(plan, where).values()
    return step.jitted.lower(shapes_of(jax.eval_shape(start), where), {}, batch).as_text()


def test_another_seed_is_the_same_program() -> None:
    first, second = lowered(0), lowered(1)
    assert "threefry" in first or "rng" in first, "nothing is drawn here"
    assert first == second


@pytest.fixture
def whole_cache() -> Iterator[None]:
    """Programs are cached however quickly they compile."""
    name = "jax_persistent_cache_min_compile_time_secs"
    before = jax.config.values[name]
    jax.config.update(name, 0.0)
    yield
    jax.config.update(name, before)


@pytest.mark.slow
def test_a_run_of_another_seed_finds_its_programs_in_the_cache(whole_cache: None, tmp_path: Path) -> None:
    train(tiny(train__epochs=1), tmp_path / "first")
    events: Counter[str] = Counter()
    jax.monitoring.register_event_listener(lambda event, **_: events.update([event]))
    train(tiny(train__epochs=1, seed=1), tmp_path / "second")
    assert events["/jax/compilation_cache/cache_hits"] >= 2, "the step's and the evaluation's"
    assert events["/jax/compilation_cache/cache_misses"] == 0
