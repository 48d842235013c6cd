"""Heads with implicit and conditional objectness against the reference implementation, on given features.

Outputs, costs and losses: 1e-4 of the array's scale. Gradients: 1e-3 of each tensor's largest entry.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax import boxes
from lad_jax.assign import AssignerOptions, make_assigner
from lad_jax.models.heads import PAAHead
from lad_jax.types import Predictions
from tests.golden import network
from tests.golden.network import assert_close
from tests.reference.example import STRIDES, loss_terms, priors_of, scene_of, truth_of

KINDS = {"cop": "conditional", "iop": "implicit"}


def filled(template, weights):
    """The head's variables from the reference's weights, every one of which must be used."""
    names = {path: network.reference_name(("bbox_head", *path[1:])).removeprefix("bbox_head.") for path in template}
    assert set(names.values()) == set(weights)
    arrays = {path: weights[name] for path, name in names.items()}
    return {p: jnp.asarray(a.transpose(2, 3, 1, 0) if a.ndim == 4 else a) for p, a in arrays.items()}


@pytest.fixture(scope="module", params=sorted(KINDS))
def case(request, golden):
    arrays, kind = network.load(golden / "objectness.npz"), request.param
    weights = network.group(arrays, f"{kind}_weights")
    n_classes, channels = weights["atss_cls.weight"].shape[:2]
    n_levels = sum(name.startswith("feature_") for name in arrays)
    features = [jnp.asarray(arrays[f"feature_{i}"]) for i in range(n_levels)]
    tower_convs = sum(name.startswith("cls_convs") and name.endswith("conv.weight") for name in weights)
    head = PAAHead(
        n_classes, channels, tower_convs, min(32, channels // 4), KINDS[kind], True, jnp.dtype("float32"), name=None
    )
    regions = [None] * n_levels  # the reference does not mask
    template = network.flatten_dict(jax.eval_shape(head.init, jax.random.key(0), features, regions))
    variables = network.unflatten_dict(filled(template, weights))
    priors = priors_of(tuple(arrays["canvas"].tolist()), arrays["image_hw"], STRIDES[:n_levels])
    truth = truth_of(
        [(arrays["gt_boxes"][i, :n], arrays["gt_labels"][i, :n]) for i, n in enumerate(arrays["gt_count"])],
        arrays["gt_boxes"].shape[1],
    )

    @jax.jit
    def predict(variables):
        outputs = head.apply(variables, features, regions)
        return Predictions(*outputs[:3], boxes.decode(priors.boxes, outputs.box_deltas), outputs.quality_logit)

    return arrays, kind, variables, predict, scene_of(priors, truth, arrays["image_hw"]), n_classes


def candidates(case):
    arrays, kind, *_ = case
    return jnp.asarray(arrays[f"{kind}_candidate_gt"], jnp.int32)


def test_outputs(case):
    arrays, kind, variables, predict, *_ = case
    predictions = predict(variables)
    assert_close(jnp.exp(predictions.class_log_p), arrays[f"{kind}_prob"])
    assert_close(1 - jnp.exp(predictions.class_log_not_p), arrays[f"{kind}_prob"])
    assert_close(predictions.box_deltas, arrays[f"{kind}_box_deltas"])
    assert_close(predictions.quality_logit, arrays[f"{kind}_iou_logits"])


def test_costs(case):
    """Of our own outputs: the reference keeps no logit to start from."""
    arrays, kind, variables, predict, scene, _ = case
    assigner = make_assigner(AssignerOptions())
    table = jax.jit(jax.vmap(assigner.cost))(scene, predict(variables))
    np.testing.assert_array_equal(table.object, arrays[f"{kind}_candidate_gt"])
    is_candidate = arrays[f"{kind}_candidate_gt"] >= 0
    assert_close(np.asarray(table.cost)[is_candidate], arrays[f"{kind}_cost"][is_candidate])


def test_assignment_from_the_features(case):
    arrays, kind, variables, predict, scene, n_classes = case
    assigner = make_assigner(AssignerOptions())
    table = jax.vmap(assigner.cost)(scene, predict(variables))
    assigned = jax.jit(jax.vmap(assigner.partition))(table, scene)
    network.assert_positives(assigned, arrays[f"{kind}_labels"], arrays[f"{kind}_candidate_gt"], n_classes)


def test_partition_of_the_references_costs(case):
    arrays, kind, _, _, scene, n_classes = case
    assigner = make_assigner(AssignerOptions())
    table = network.table_of(arrays[f"{kind}_cost"], candidates(case))
    assigned = jax.jit(jax.vmap(assigner.partition))(table, scene)
    np.testing.assert_array_equal(network.labels_of(assigned, scene.truth, n_classes), arrays[f"{kind}_labels"])
    assert assigned.positive.sum() == arrays[f"{kind}_num_pos"]


@pytest.mark.parametrize(("method", "weighting"), [("paa", "quality"), ("lad", "uniform")])
def test_losses_and_gradients(case, method, weighting):
    arrays, kind, variables, predict, scene, n_classes = case
    assignment = network.assignment_of(arrays[f"{kind}_labels"], candidates(case), scene.priors.valid, n_classes)

    def loss(params):
        terms = loss_terms(["detection"], predict({"params": params}), assignment, scene, box_weighting=weighting)
        return sum(terms.values()), terms

    compiled = jax.jit(jax.grad(loss, has_aux=True))
    gradients, terms = compiled(variables["params"])
    network.assert_losses(terms, arrays, f"{kind}_{method}_loss")
    network.assert_gradients(
        lambda seed: {"bbox_head": compiled(network.beside(variables["params"], seed))[0] if seed else gradients},
        {f"g/bbox_head.{name}": a for name, a in network.group(arrays, f"{kind}_{method}_grad").items()},
        "g",
    )
