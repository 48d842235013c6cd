"""From options to the training step: what is a constant of its program, and what is data."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, get_args, get_origin, get_type_hints

import jax
import jax.monitoring
import pytest

from lad_jax.assign import Assigner, AssignerOptions, make_assigner
from lad_jax.data import make_plan, open_dataset
from lad_jax.distill import METHODS
from lad_jax.losses import LossOptions, LossSetting
from lad_jax.options import RunOptions
from lad_jax.programs import blank_shapes, shapes_of
from lad_jax.run import build
from lad_jax.run.build import loss_setting, make_models, make_train_step
from lad_jax.run.train import train
from lad_jax.train.optimizer import PartOptions
from lad_jax.train.state import init_state, init_variables
from lad_jax.train.step import TrainStep
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


def another(kind: Any, value: Any) -> Any:
    """A value of a field that is not the given one: a choice from the end of its list, a number a little higher."""
    if is_dataclass(value):
        return all_changed(value)
    if get_origin(kind) is Literal:
        return next(choice for choice in reversed(get_args(kind)) if choice != value)
    if isinstance(value, bool):
        return not value
    assert isinstance(value, int | float), f"{kind}: say here what another value of it is"
    return value + (1 if isinstance(value, int) else 0.0625)


def all_changed(group: Any) -> Any:
    """Options of which each has another value."""
    kinds = get_type_hints(type(group))
    return replace(group, **{f.name: another(kinds[f.name], getattr(group, f.name)) for f in fields(group)})


def changed_options(method: Any = "plain", objectness: Any = "implicit") -> RunOptions:
    """Options of a run in which all that the training step is made of is not as by default."""
    options = tiny(method=method, model__iou_branch=method != "free_anchor")
    return replace(
        options,
        model=replace(options.model, objectness=objectness),
        switch=all_changed(options.switch),
        losses=replace(all_changed(options.losses), box_weighting="quality"),  # `uniform` is the setting's default
        soft_label=all_changed(options.soft_label),
        solad=all_changed(options.solad),
        free_anchor=all_changed(options.free_anchor),
        optimizer=replace(options.optimizer, ema_decay=0.5, lr_factors=PartOptions(backbone=0.0, neck=0.0)),
        train=replace(options.train, accumulate=2, gradients="bfloat16"),
    )


def assert_no_default(made: Any) -> None:
    """A value that was left out would be the default."""
    for field in fields(made):
        if field.default is not MISSING:
            assert getattr(made, field.name) != field.default, f"{field.name} has its default, so nothing is seen"


@pytest.mark.parametrize("method", METHODS)
def test_the_losses_are_set_by_every_option(method: Any) -> None:
    """`LossSetting` has a field for each option of the losses, but for those of the step, and for each other group."""
    options = changed_options(method)
    setting = loss_setting(options, PAA, options.model)
    of_losses = {f.name for f in fields(LossOptions)} - {f.name for f in fields(TrainStep)}
    expected = {name: getattr(options.losses, name) for name in of_losses}
    expected |= {"soft": options.soft, "free_anchor": options.free_anchor, "bounded": True}
    assert {f.name: getattr(setting, f.name) for f in fields(LossSetting)} == expected
    assert_no_default(setting)


@pytest.mark.parametrize(("objectness", "bounded"), [("none", False), ("implicit", True), ("conditional", True)])
def test_probabilities_of_a_head_without_logits_are_bounded(objectness: str, bounded: bool) -> None:
    options = changed_options(objectness=objectness)
    assert loss_setting(options, PAA, options.model).bounded == bounded


def show_what_makers_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions that make functions give their arguments instead, which can be compared."""
    marks = {"quality_target": "iou", "soft_target": False}
    monkeypatch.setattr(build, "make_assigner", lambda options: SimpleNamespace(options=options, **marks))
    monkeypatch.setattr(build, "make_losses", lambda *given: given)
    monkeypatch.setattr(build, "make_schedule", lambda options, **given: (options, given))
    monkeypatch.setattr(build, "make_optimizer", lambda *given: given)


@pytest.mark.parametrize("method", ["plain", "colad", "solad"])
def test_the_training_step_is_made_by_every_option(method: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each field of `TrainStep` is the option's, or what its maker makes of the options: a new field has to be here."""
    show_what_makers_are_given(monkeypatch)
    options = changed_options(method)
    models, trained = make_models(options, 3), options.roles.trained
    step = make_train_step(options, models, steps_per_epoch=3, mesh=ONE_DEVICE)
    setting = {name: loss_setting(options, step.assigner, models[name].options) for name in trained}
    schedule = (options.optimizer, {"batch_size": 4, "epochs": 2, "steps_per_epoch": 3})
    expected = {
        "method": options.roles,
        "models": models,
        "assigner": build.make_assigner(options.assigner),
        "switch": options.switch,
        "losses": {name: (options.roles.losses, setting[name]) for name in trained},
        "optimizer": (options.optimizer, schedule, {name: models[name].options for name in trained}),
        "schedule": schedule,
        "mesh": ONE_DEVICE,
        "total_steps": 6,
        "ema_decay": 0.5,
        "normaliser_pictures": options.losses.normaliser_pictures,
        "accumulate": 2,
        "gradients_in": "bfloat16",
        "frozen_parts": {"backbone", "neck"},
    }
    assert {f.name: getattr(step, f.name) for f in fields(TrainStep)} == expected
    assert_no_default(step)


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
