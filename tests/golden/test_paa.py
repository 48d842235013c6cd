"""PAA, stage by stage and from end to end, against the reference implementation."""

import jax
import numpy as np
import pytest

from lad_jax.distill import METHODS, SwitchOptions, assign_batch
from lad_jax.losses import LossSetting, make_losses
from lad_jax.mesh import MeshOptions, make_mesh, replicate
from lad_jax.train.optimizer import OptimizerOptions, make_optimizer
from lad_jax.train.state import init_state
from lad_jax.train.step import TrainStep
from tests.golden import network
from tests.golden.network import assert_close
from tests.reference.example import predictions_of


@pytest.fixture(scope="module", params=["paa_r18", "paa_r50"])
def case(request, golden):
    arrays = network.load(golden / f"{request.param}.npz")
    model, variables = network.detector(arrays, "weights", float(arrays["anchors"][0, 2] - arrays["anchors"][0, 0]))
    batch = network.batch_of(arrays)
    assignment = network.assignment_of(
        arrays["paa_labels"], arrays["paa_candidate_gt"], arrays["anchor_valid"], model.n_classes
    )
    result = network.run(model, variables, batch, assignment, "quality")
    return arrays, model, variables, batch, result


def test_priors(case):
    arrays, model, _, batch, _ = case
    priors = network.priors(model, batch)
    for i in range(len(batch.valid)):
        np.testing.assert_array_equal(priors.boxes[i], arrays["anchors"])
    np.testing.assert_array_equal(priors.valid, arrays["anchor_valid"])


def test_features_and_outputs(case):
    arrays, model, _, _, result = case
    for i, x in enumerate(result.features["backbone"], start=model.options.first_level - 2):
        assert_close(x, arrays[f"backbone_{i}"], f"backbone_{i}")
    for i, x in enumerate(result.features["neck"]):
        assert_close(x, arrays[f"fpn_{i}"], f"fpn_{i}")
    head = result.features["bbox_head"]
    assert_close(head.class_log_p - head.class_log_not_p, arrays["cls_logits"])
    assert_close(head.box_deltas, arrays["box_deltas"])
    assert_close(head.quality_logit, arrays["iou_logits"].reshape(head.quality_logit.shape))
    assert model.n_classes == arrays["cls_logits"].shape[-1]


def test_costs_of_the_references_outputs(case):
    arrays, model, _, batch, _ = case
    scene = network.scene(model, batch)
    predictions = predictions_of(*(arrays[k] for k in ("cls_logits", "box_deltas", "iou_logits")), scene.priors.boxes)
    table = jax.jit(jax.vmap(network.assigner(model).cost))(scene, predictions)
    np.testing.assert_array_equal(table.object, arrays["paa_candidate_gt"])
    is_candidate = arrays["paa_candidate_gt"] >= 0
    assert_close(np.asarray(table.cost)[is_candidate], arrays["paa_cost"][is_candidate])


def test_partition_of_the_references_costs(case):
    arrays, model, _, batch, _ = case
    table = network.table_of(arrays["paa_cost"], arrays["paa_candidate_gt"])
    assigned = jax.jit(jax.vmap(network.assigner(model).partition))(table, network.scene(model, batch))
    np.testing.assert_array_equal(network.labels_of(assigned, batch.truth, model.n_classes), arrays["paa_labels"])
    np.testing.assert_array_equal(assigned.object, np.where(assigned.positive, table.object, -1))
    assert assigned.positive.sum() == arrays["paa_num_pos"]


def test_assignment_from_the_pixels(case):
    arrays, model, _, batch, result = case
    assigned = assign_batch(
        {"student": result.predictions},
        network.scene(model, batch),
        method=METHODS["plain"],
        assigner=network.assigner(model),
        switch=SwitchOptions(),
    )
    network.assert_positives(assigned.assignment, arrays["paa_labels"], arrays["paa_candidate_gt"], model.n_classes)


def test_losses_and_gradients(case):
    arrays, _, _, _, result = case
    network.assert_losses(result.losses, arrays, "paa_loss")
    network.assert_gradients(result.gradients, arrays, "paa_grad")


@pytest.mark.parametrize("case", ["paa_r18", pytest.param("paa_r50", marks=pytest.mark.slow)], indirect=True)
def test_three_steps_of_sgd(case):
    arrays, model, variables, batch, _ = case
    schedule = lambda step: 0.002  # noqa: E731
    mesh, method = make_mesh(MeshOptions(data=1), {}), METHODS["plain"]
    training = TrainStep(
        method=method,
        models={"student": model},
        assigner=network.assigner(model),
        switch=SwitchOptions(),
        losses={"student": make_losses(method.losses, LossSetting(box_weighting=method.box_weighting))},
        optimizer=make_optimizer(OptimizerOptions(), schedule, {"student": model.options}),
        schedule=schedule,
        mesh=mesh,
        total_steps=10,
    )
    step = jax.jit(training.step, compiler_options=network.OPTIMISED)
    # As with the gradients, a rounding may tip a ReLU, or in the third step a prior from one side of the partition to
    # the other; so the reference's losses have to be among those of starts that differ by about a rounding.
    reference, errors = arrays["paa_sgd_losses"], []
    for seed in range(30):
        start = {**variables, "params": network.beside(variables["params"], seed)}
        # Laid out as the step leaves it: one program, not one for the first step and one for the others.
        state, losses = replicate(init_state({"student": start}, training.optimizer, seed=0, ema=False), mesh), []
        for _ in reference:
            state, output = step(state, {}, batch)
            losses.append([output.scalars[f"student/loss_{term}"] for term in ("class", "box", "quality")])
        errors.append(np.abs(np.array(losses) / reference - 1).max(axis=1))
        if (errors[-1] < 1e-3).all():
            return
    raise AssertionError(errors)
