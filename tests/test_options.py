"""The options of a run: what a method makes of them, and what does not fit together."""

from dataclasses import replace

import pytest

from lad_jax.assign import AssignerOptions, make_assigner
from lad_jax.config import from_config, to_config
from lad_jax.distill import METHODS
from lad_jax.errors import InputError
from lad_jax.models import ModelOptions
from lad_jax.options import RunOptions, TeacherOptions

PAA = make_assigner(AssignerOptions())


def options(**changes):
    """From a ConfigDict, as from a config file or the command line."""
    config = to_config(RunOptions())
    config.update_from_flattened_dict({key.replace("__", "."): value for key, value in changes.items()})
    return from_config(RunOptions, config)


def test_the_released_weights_of_soft_labels():
    kd, solad = options(method="soft_label").soft, options(method="solad").soft
    assert (kd.class_weight, kd.quality_weight, kd.box_weight, kd.gamma) == (10, 10, 1.3, 0.5)
    assert (solad.class_weight, solad.quality_weight, solad.box_weight, solad.gamma) == (2, 10, 1.3, 0.5)
    assert kd.min_iou == solad.min_iou == 0.5


def test_a_network_that_is_not_there():
    for name in ("studnt", "peer_1"):
        with pytest.raises(ValueError, match=f"no network '{name}', but student, teacher$"):
            options().model_of(name)


def cohort(*models):
    config = to_config(RunOptions(method="colad"))
    config.peers = tuple(to_config(TeacherOptions(model=model)) for model in models)
    return from_config(RunOptions, config)


def test_a_cohort_has_names_and_models():
    found = cohort(ModelOptions(), ModelOptions(channels=64))
    assert found.roles.trained == found.roles.costs_from == ("student", "teacher", "peer_1", "peer_2")
    assert found.roles.networks == found.roles.trained and not found.roles.frozen
    assert found.model_of("peer_2").channels == 64 and found.key_of("peer_2") == "config.peers[1].model"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "ladd"}, ["config.method", "'ladd'", "'soft_label'", "'solad'", "'colad'"]),
        ({"switch.criterion": "best"}, ["config.switch.criterion", "'std_over_mean', 'fisher'"]),
        ({"switch.scope": "all"}, ["config.switch.scope", "'object_level', 'object', 'image', 'batch'"]),
        ({"assigner.paa.threshold": "mean"}, ["config.assigner.paa.threshold", "'lower_mean'"]),
        ({"assigner.paa.min_iou": 2.0}, ["config.assigner.paa", "min_iou is 2.0"]),
        ({"model.objectness": "cop"}, ["config.model.objectness", "'none', 'implicit', 'conditional'"]),
        ({"losses.box_weighting": "giou"}, ["config.losses.box_weighting", "'method', 'quality', 'uniform'"]),
        ({"losses.quality_target": "giou"}, ["config.losses.quality_target", "'assigner', 'iou', 'centerness'"]),
        ({"losses.box_weight": -1.0}, ["config.losses", "box_weight is -1.0"]),
        ({"free_anchor.bag_size": 0}, ["config.free_anchor", "bag_size is 0"]),
        ({"method": "free_anchor"}, ["'free_anchor' does not train the IoU branch", "config.model.iou_branch=False"]),
        ({"method": "lad", "assigner.name": "atss"}, ["'atss' assigns by boxes alone", "use method 'plain'"]),
        ({"assigner.name": "tal", "losses.class_loss": "focal"}, ["losses.class_loss is 'focal'", "assigner 'tal'"]),
        ({"losses.normaliser_pictures": 5}, ["normaliser_pictures is 5", "train.batch_size (16)"]),
        ({"optimizer.decay_epochs": (8, 8)}, ["config.optimizer", "decay_epochs is (8, 8)", "must rise"]),
        ({"optimizer.decay_epochs": (0, 8)}, ["decay_epochs is (0, 8)", "at least 1"]),
        ({"optimizer.decay_epochs": (0.9, 0.5)}, ["decay_epochs is (0.9, 0.5)", "must rise"]),
        ({"optimizer.decay_epochs": (0.5, 1.0)}, ["decay_epochs is (0.5, 1.0)", "shares of the run, between 0 and 1"]),
        ({"optimizer.decay_epochs": (2.5,)}, ["decay_epochs is (2.5,)", "epochs, which are integers"]),
        ({"optimizer.decay_epochs": (0.5, 11)}, ["decay_epochs is (0.5, 11)", "list either epochs", "or shares"]),
        ({"optimizer.decay_epochs": (float("nan"),)}, ["decay_epochs is (nan,)", "between 0 and 1"]),
        ({"optimizer.decay_epochs": (True,)}, ["config.optimizer.decay_epochs[0] must be a number, got True"]),
        ({"train.accumulate": 3}, ["config.train: accumulate is 3", "batch_size (16)"]),
        ({"train.watchdog_s": -1.0}, ["config.train", "watchdog_s is -1.0"]),
        ({"soft_label.gamma": -1.0}, ["config.soft_label", "gamma is -1.0"]),
        ({"soft_label.gamma": float("nan")}, ["config.soft_label", "gamma is nan"]),
        ({"evaluation.postprocess.nms_iou": 1.5}, ["config.evaluation.postprocess: nms_iou is 1.5", "between 0 and 1"]),
        ({"optimizer.learning_rate": float("inf")}, ["learning_rate is inf; it must be at least 0 and finite"]),
        ({"model.anchor_scale": -4.0}, ["config.model: anchor_scale is -4.0; it must be between 0.1 and 1000"]),
        ({"model.pixel_std": (1.0, 0.0, 1.0)}, ["config.model: pixel_std is (1.0, 0.0, 1.0)"]),
        ({"model.pixel_mean": (1.0, float("nan"), 1.0)}, ["config.model: pixel_mean is (1.0, nan, 1.0)"]),
        ({"optimizer.betas": (0.9, 1.0)}, ["betas is (0.9, 1.0); each must be at least 0 and below 1"]),
        ({"solad.divergence": "js"}, ["config.solad.divergence", "'kl', 'l1', 'l2'"]),
        (
            {"method": "lad", "teacher.model.n_levels": 4},
            ["config.model.n_levels is 5", "config.teacher.model.n_levels is 4"],
        ),
        (
            {"method": "solad", "teacher.model.iou_branch": False},
            ["solad.quality_weight", "config.teacher.model has no IoU"],
        ),
        ({"teacher.path": "runs/x"}, ["teacher.path is 'runs/x'", "'plain' has no teacher", "lad", "colad"]),
        ({"evaluation.network": "teacher"}, ["evaluation.network", "'plain' does not train", "'student'"]),
    ],
)
def test_what_does_not_fit_is_named(changes, words):
    with pytest.raises(InputError) as caught:
        options(**changes)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("method", METHODS)
def test_methods_by_a_static_assigner(method):
    """A teacher that only assigns would assign as the student does: refused."""
    ours, static = options(method=method, model__iou_branch=method != "free_anchor"), PAA._replace(static=True)
    ours.check_assigner(PAA)
    if method in ("lad", "dynamic_lad", "colad"):
        with pytest.raises(ValueError, match=f"'paa' assigns by boxes alone.* method '{method}'.* use method 'plain'"):
            ours.check_assigner(static)
    else:
        ours.check_assigner(static)


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [
        ("class_loss", "focal", "use 'quality_focal' or 'assigner'"),
        ("box_weighting", "uniform", "use 'method'"),
        ("box_weighting", "quality", "use 'method'"),
    ],
)
def test_losses_that_do_not_fit_soft_targets(key, value, remedy):
    ours, soft = options(**{f"losses__{key}": value}), PAA._replace(soft_target=True)
    ours.check_assigner(PAA)
    with pytest.raises(ValueError, match=f"losses.{key} is '{value}'.* soft targets of assigner 'paa': {remedy}"):
        ours.check_assigner(soft)
    options(losses__class_loss="quality_focal").check_assigner(soft)
    # Without a detection loss there is nothing that could not fit.
    options(method="soft_label", **{f"losses__{key}": value}).check_assigner(soft)


def test_an_assigner_that_needs_an_iou_branch():
    """Of every network whose costs count, and of no other."""
    yolox = {"assigner__name": "simota", "assigner__simota__form": "yolox"}
    assert options(**yolox).assigner.simota.form == "yolox"
    with pytest.raises(InputError, match=r"'simota' .* config\.model has no IoU branch: .* the form 'mmdet'"):
        options(**yolox, model__iou_branch=False)
    with pytest.raises(InputError, match=r"config\.teacher\.model has no IoU branch"):
        options(**yolox, method="colad", teacher__model__iou_branch=False)
    options(**yolox, method="lad", model__iou_branch=False)


def test_cohort_networks_with_other_priors():
    with pytest.raises(
        InputError, match=r"config\.model\.anchor_scale is 8\.0 and config\.peers\[1\]\.model\.anchor_scale is 4\.0"
    ):
        cohort(ModelOptions(), ModelOptions(anchor_scale=4.0))


def test_peers_learn_by_colad_only():
    with pytest.raises(ValueError, match="peers are trained by method 'colad'"):
        replace(RunOptions(), peers=(TeacherOptions(),))
