"""LAD and CoLAD against the reference implementation: teacher's costs, switch, losses and gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.distill import METHODS, SwitchOptions, assign_batch, policy
from tests.golden import network
from tests.golden.network import assert_close
from tests.reference.example import predictions_of

NAMES = ("student", "teacher")


@pytest.fixture(scope="module", params=["lad", "colad"])
def case(request, golden):
    """Both networks of a file, run on the reference's assignment."""
    name = request.param
    arrays = network.load(golden / f"{name}.npz")
    batch = network.batch_of(arrays)
    models = {n: network.detector(arrays, f"{n}_weights") for n in NAMES}
    labels = arrays["teacher_labels" if name == "lad" else "colad_labels"]
    scene = network.scene(models["student"][0], batch)
    n_classes = models["student"][0].n_classes
    assignment = network.assignment_of(labels, arrays["teacher_candidate_gt"], scene.priors.valid, n_classes)
    method = METHODS[name]
    runs = {n: network.run(*models[n], batch, assignment, method.box_weighting) for n in method.trained}
    runs |= {n: network.outputs(*models[n], batch) for n in method.frozen}
    return name, arrays, {n: model for n, (model, _) in models.items()}, batch, scene, labels, runs


def tables_of(arrays):
    """The two networks' golden cost tables."""
    return {n: network.table_of(arrays[f"{n}_cost"], arrays["teacher_candidate_gt"]) for n in NAMES}


def test_outputs(case):
    _, arrays, _, _, _, _, runs = case
    for n in NAMES:
        head = runs[n].features["bbox_head"]
        assert_close(head.class_log_p - head.class_log_not_p, arrays[f"{n}_cls_logits"], n)
        assert_close(head.box_deltas, arrays[f"{n}_box_deltas"], n)
        assert_close(head.quality_logit, arrays[f"{n}_iou_logits"].reshape(head.quality_logit.shape), n)


def test_costs_of_the_references_outputs(case):
    _, arrays, models, _, scene, _, _ = case
    cost = jax.jit(jax.vmap(network.assigner(models["student"]).cost))
    is_candidate = arrays["teacher_candidate_gt"] >= 0
    for n in NAMES:
        raw = (arrays[f"{n}_{k}"] for k in ("cls_logits", "box_deltas", "iou_logits"))
        table = cost(scene, predictions_of(*raw, scene.priors.boxes))
        np.testing.assert_array_equal(table.object, arrays["teacher_candidate_gt"])
        assert_close(np.asarray(table.cost)[is_candidate], arrays[f"{n}_cost"][is_candidate], n)


def test_partition_of_the_references_costs(case):
    name, arrays, models, batch, scene, labels, _ = case
    table = tables_of(arrays)["teacher"]
    if name == "colad":
        table = table._replace(cost=jnp.nan_to_num(jnp.asarray(arrays["colad_cost"])))
    model = models["student"]
    assigned = jax.jit(jax.vmap(network.assigner(model).partition))(table, scene)
    np.testing.assert_array_equal(network.labels_of(assigned, batch.truth, model.n_classes), labels)
    assert assigned.positive.sum() == arrays["teacher_num_pos" if name == "lad" else "colad_num_pos"]


def test_switch_of_the_references_costs(case):
    name, arrays, _, _, scene, _, _ = case
    if name != "colad":
        pytest.skip("LAD has no switch")
    table, teaches = jax.vmap(partial(policy, options=SwitchOptions()))(tuple(tables_of(arrays).values()), scene)
    seen = np.zeros(teaches.shape, bool)
    for image, g, level, count, _, _, _, _, chosen in arrays["colad_switch"]:
        cell = np.zeros_like(seen)
        image = int(image)
        cell[image] = (arrays["colad_candidate_gt"][image] == g) & (scene.priors.levels.of_prior == level)
        assert cell.sum() == count
        assert (np.asarray(teaches)[cell] == chosen).all()
        seen |= cell
    is_candidate = arrays["colad_candidate_gt"] >= 0
    np.testing.assert_array_equal(seen, is_candidate)
    np.testing.assert_array_equal(np.asarray(table.cost)[is_candidate], arrays["colad_cost"][is_candidate])


def test_assignment_from_the_pixels(case):
    name, arrays, models, _, scene, labels, runs = case
    model = models["student"]
    assigned = assign_batch(
        {n: runs[n].predictions for n in NAMES},
        scene,
        method=METHODS[name],
        assigner=network.assigner(model),
        switch=SwitchOptions(),
    )
    network.assert_positives(assigned.assignment, labels, arrays["teacher_candidate_gt"], model.n_classes)


def test_losses_and_gradients(case):
    name, arrays, _, _, _, _, runs = case
    for n in METHODS[name].trained:
        prefix = name if name == "lad" else f"{name}_{n}"
        network.assert_losses(runs[n].losses, arrays, f"{prefix}_loss")
        network.assert_gradients(runs[n].gradients, arrays, f"{prefix}_grad")
