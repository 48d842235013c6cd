"""The worked case of three objects (assigners 14) and the small numbers of each assigner's section."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax import boxes
from lad_jax.assign import ASSIGNERS, AssignerOptions, atss, dynamic_soft_label, hungarian, ota, pairs, simota, tal
from lad_jax.priors import make_priors
from lad_jax.types import GroundTruth, Levels, Predictions, Priors, Scene
from tests.reference.example import STRIDES, predictions_of

CANVAS = (64, 96)
PRIORS = jax.tree.map(jnp.asarray, make_priors(CANVAS, STRIDES, 8.0))
OBJECTS = [[10, 12, 44, 40], [30, 6, 89, 57], [61, 33, 66, 37.5]]


def truth_of(rows, labels, mask=True):
    rows, labels = jnp.asarray(rows, jnp.float32), jnp.asarray(labels, jnp.int32)
    mask = jnp.broadcast_to(jnp.asarray(mask), labels.shape)
    return GroundTruth(rows, labels, mask, jnp.zeros(labels.shape, bool))


def outputs():
    a, c, k = np.arange(len(PRIORS.valid))[:, None], np.arange(3), np.arange(4)
    logits = -2 + 1.5 * np.sin(0.7 * a + 1.3 * c)
    deltas = 1.5 * np.cos(0.9 * a + 0.5 * k) - 2.5 * (k >= 2)
    return predictions_of(*(x.astype(np.float32) for x in (logits, deltas, 0.4 * np.sin(0.11 * a[:, 0]))), PRIORS.boxes)


PREDICTIONS = outputs()


def case_of(name, n_objects=3, progress=0.0, **changes):
    """Options, scene, table and assignment of the worked case with its first objects."""
    options = dataclasses.replace(getattr(AssignerOptions(), name), **changes)
    truth = truth_of(OBJECTS, [0, 1, 2], np.arange(3) < n_objects)
    scene = Scene(PRIORS, truth, jnp.asarray(CANVAS), jnp.asarray(progress))
    assigner = ASSIGNERS[name](options)

    @jax.jit
    def run(scene, predictions):
        table = assigner.cost(scene, predictions)
        return table, assigner.partition(table, scene)

    return options, scene, *run(scene, PREDICTIONS)


def indices(text):
    """Priors of a list like `14-16 39`."""
    ends = [[int(end) for end in part.split("-")] for part in text.split()]
    return [a for first, *last in ends for a in range(first, (last or [first])[0] + 1)]


ROWS = "17-23 29-35 41-47 53-59 65-71 77-83 89-95"
TINY_TAKES_ALL = ["14-16 26-28 38-40 50-52 62-64", "", ROWS]
ANSWERS = {
    "max_iou of two": ("max_iou", {"n_objects": 2}, ["14-17 26-29 38-41 50-53 62-65", "31 32 42-45 54-57 66-69 79"]),
    "max_iou": ("max_iou", {}, TINY_TAKES_ALL),
    "atss": ("atss", {}, ["27 28 38-41 50-52", "43 44 54-56 67 68", ""]),
    "fcos": ("fcos", {}, ["26-28 38-40 50-52", "42-44 54-56 66-68", ""]),
    "fcos in whole boxes": (
        "fcos",
        {"centre_radius": 0.0},
        ["26-29 38-41 50-53", "16-23 30-35 42-47 54-59 64-71 76-83 88-95", ""],
    ),
    "simota": ("simota", {}, ["28 39 40 50", "54-56 80 81", "79"]),
    "simota of yolox": ("simota", {"form": "yolox"}, ["39 50-52", "42 54 55 67", "43"]),
    "ota": ("ota", {}, ["39 51 52", "41 42 54-56 80 81", None]),
    "tal": ("tal", {}, ["27 39 40 50-53", "19 20 28 41 42 46 54-56 67 81 105", ""]),
    "hungarian": ("hungarian", {}, ["65", "55", "79"]),
    "mal at the start": ("mal", {}, TINY_TAKES_ALL),
    "mal half-way": ("mal", {"progress": 0.5}, ["28 38-40 50-52 64", "", None]),
    "mal at the end": ("mal", {"progress": 1.0}, ["64", "", "79"]),
    "dynamic_soft_label": ("dynamic_soft_label", {}, ["40 50-53", "42 54 55 67 68 105", "79"]),
}
"""Assigner, case, and each object's priors; None where rounding decides or the document has none."""


@pytest.mark.parametrize("row", ANSWERS.values(), ids=ANSWERS)
def test_answer(row):
    name, case, expected = row
    _, _, _, assignment = case_of(name, **case)
    for g, priors in enumerate(expected):
        if priors is not None:
            assert np.flatnonzero(assignment.object == g).tolist() == indices(priors), f"object {g}"
    ignored = indices("30 33 46 58 78 80") if case == {"n_objects": 2} else []
    assert np.flatnonzero(assignment.weight == 0).tolist() == ignored


@pytest.mark.parametrize("progress, sizes", [(0.25, (12, 0, 37)), (0.5, (8, 0, 25)), (0.75, (4, 0, 13))])
def test_sizes_of_mal(progress, sizes):
    _, _, table, assignment = case_of("mal", progress=progress)
    assert tuple(int((assignment.object == g).sum()) for g in range(3)) == sizes
    near(jnp.exp(-table.cost[64]), 0.014669785)


def near(ours, expected, rtol=2e-6, atol=0.0):
    np.testing.assert_allclose(ours, expected, rtol=rtol, atol=atol)


def test_boxes():
    near(PREDICTIONS.boxes[0], [-13.224319, -11.400472, 32.424320, 28.250057])
    near(PREDICTIONS.boxes[40], [6.352583, 1.442026, 55.190514, 53.531136], rtol=3e-6)
    near(boxes.iou(*jnp.array([[-24.0, 24, 40, 88], [10, 20, 50, 90]])), 0.38585209)


def test_ious_of_anchors():
    _, _, table, _ = case_of("atss")
    iou = table.besides["iou"]
    near(iou.max(axis=1), [0.23242188, 0.71328670, 0.00549316], atol=1e-8)
    near(iou.sum(axis=1), [13.205117, 30.720766, 0.3251987])


def test_statistics_of_atss():
    _, _, table, _ = case_of("atss")
    candidate = np.asarray(table.object >= 0)
    assert candidate.sum(axis=1).tolist() == [27, 27, 27]
    first = [27, 28, 38, 39, 40, 41, 50, 51, 52, 98, 103, 104, 105, 109, 110, 111, 115, 116]
    assert np.flatnonzero(candidate[0])[:18].tolist() == first
    mean, std, threshold = atss.statistics(table)
    near(mean, [0.10037316, 0.28441024, 0.00237226], atol=1e-8)
    near(std, [0.09723881, 0.26395780, 0.00229819], atol=1e-8)
    near(threshold, [0.19761197, 0.54836804, 0.00467045], atol=1e-8)


@pytest.mark.parametrize(
    "form, n_eligible, sums, k, costs",
    [
        (
            "mmdet",
            104,
            [4.4938684, 5.1085467, 0.2036414],
            [4, 5, 1],
            {(0, 39): 4.3449063, (0, 40): 4.8085370, (0, 28): 4.9708548, (0, 50): 5.1050153, (1, 55): 3.0518346},
        ),
        (
            "yolox",
            45,
            [4.0704308, 4.7610190, 0.12573105],
            [4, 4, 1],
            {(0, 51): 4.0755130, (1, 55): 3.1289349, (2, 43): 12.840389},
        ),
    ],
)
def test_numbers_of_simota(form, n_eligible, sums, k, costs):
    options, _, table, assignment = case_of("simota", form=form, target="iou")
    assert (table.object >= 0).any(axis=0).sum() == n_eligible
    near(simota.iou_sum(table, options), sums)
    assert pairs.to_whole(simota.iou_sum(table, options)).tolist() == k
    for (g, a), cost in costs.items():
        near(table.cost[g, a], cost)
    if form == "mmdet":
        near(simota.penalised(table, options)[2, 79], 100012.04, atol=0.01)
        near(assignment.target[55], 0.60208800)


def test_numbers_of_dynamic_soft_label():
    options, scene, table, _ = case_of("dynamic_soft_label")
    assert (table.object >= 0).any(axis=0).sum() == 78
    sums = dynamic_soft_label.iou_sum(table, options)
    near(sums, [5.1725836, 6.2693260, 0.24172851])
    assert pairs.to_whole(sums).tolist() == [5, 6, 1]
    cost = dynamic_soft_label.penalised(table, scene)
    near([cost[0, 51], cost[1, 55], cost[2, 79]], [2.1813543, 1.6134328, 11.004890])


def test_numbers_of_ota():
    options, scene, table, _ = case_of("ota")
    assert table.compared.sum(axis=1).tolist() == [17, 39, 0]
    supply, log_plan = ota.transport(table, scene, options)
    assert supply.tolist() == [4, 8, 1, 116]
    largest = np.exp(log_plan.max(axis=1))
    near(largest[[0, 1, 3]], [0.88675900, 0.99916470, 0.99931360], atol=1e-3)  # object 2 moves them
    near([table.cost[0, 51], table.cost[1, 55]], [1.5122553, 0.90583790])
    near((table.cost - table.besides["beyond_background"])[0, 51], 0.01199582, atol=2e-7)


def test_quotients_of_ota():
    options, scene, table, _ = case_of("ota")
    _, log_plan = ota.transport(table, scene, options)
    shares = np.sort(np.exp(log_plan - log_plan.max(axis=1, keepdims=True))[:, 39])
    near(shares[-2:], [0.39921418, 0.67703890], atol=1e-3)


def test_numbers_of_tal():
    options, _, table, assignment = case_of("tal")
    best = np.asarray(tal.best_by_metric(table, options))
    assert np.flatnonzero(best[0]).tolist() == [13, 14, 27, 28, 39, 40, 49, 50, 51, 52, 53, 65, 66]
    assert np.flatnonzero(best[1]).tolist() == [19, 20, 28, 41, 42, 46, 54, 55, 56, 67, 81, 98, 105]
    target = assignment.target
    near(target[jnp.array([52, 51, 55, 54])], [0.64082897, 0.59246490, 0.60208416, 0.38207456], rtol=5e-6)
    near(target.sum(), 3.4983554, rtol=5e-6)


def test_numbers_of_hungarian():
    options, scene, table, assignment = case_of("hungarian")
    exact = table.besides["exact"]
    near(pairs.of_owner(exact, assignment.object).sum(), 5.6274543)
    distance = options.l1_weight * hungarian.box_distance(scene, PREDICTIONS)[0, 65]
    giou = options.giou_weight * boxes.giou(scene.truth.boxes[0], PREDICTIONS.boxes[65])
    near([distance, -giou, exact[0, 65] - distance + giou], [1.3632026, -0.56138530, 0.08833869], rtol=5e-6)


# The small numbers: a prior or two, whose boxes and scores are given.


def small_case(name, predicted, logits, box, label, point, quality=0.0, **changes):
    """Scene and table of priors of stride 8 at one point, for one object."""
    n, (x, y) = len(predicted), point
    anchors = jnp.tile(jnp.array([x - 32.0, y - 32, x + 32, y + 32]), (n, 1))
    priors = Priors(anchors, jnp.ones(n, bool), Levels((8,), ((1, n),)))
    scene = Scene(priors, truth_of([box], [label]), jnp.array(CANVAS), jnp.zeros(()))
    logits, predicted = jnp.asarray(logits, jnp.float32), jnp.asarray(predicted, jnp.float32)
    log_p, log_not_p = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
    predictions = Predictions(log_p, log_not_p, jnp.zeros((n, 4)), predicted, jnp.full(n, quality))
    options = dataclasses.replace(getattr(AssignerOptions(), name), **changes)
    assigner = ASSIGNERS[name](options)
    return scene, assigner.cost(scene, predictions), assigner, predictions


ONE = {"predicted": [[10, 10, 30, 40]], "logits": [[-4.59511985, 0, 2]], "box": [12, 8, 36, 44], "point": (24, 24)}
"""IoU 0.58441558."""


def test_small_numbers_of_simota():
    scene, table, _, predictions = small_case("simota", **ONE, label=2)
    near(simota.classification(*predictions[:2], scene), [[0.8301255]])
    near(table.cost, [[2.4415538]])
    _, table, _, _ = small_case("simota", **ONE, label=2, quality=0.4, form="yolox")
    near(table.cost, [[2.8040679]])


def test_small_numbers_of_ota():
    _, table, _, _ = small_case("ota", **ONE, label=2)
    near(table.cost, [[0.93613115]])
    near(table.cost - table.besides["beyond_background"], [[1.3675245]])


def test_sinkhorn():
    cost = jnp.array([[1, 2, 4, 3], [3, 1, 2, 2.5], [0.5, 0.5, 0.5, 0.5]])
    expected = {
        1: [[0.24916039, 0.24916039, 0.25083944, 0.25083944]],
        2: [[0.08635477, 0.04795979, 0.43276453, 0.43292114]],
        50: [
            [0.99999702, 2.887769e-7, 1.211846e-11, 3.259285e-6],
            [3.239800e-7, 0.99980807, 0.92415702, 0.07603334],
            [5.841783e-4, 3.715812e-6, 0.07565330, 0.92375881],
        ],
    }
    for rounds, rows in expected.items():
        log_plan = ota.sinkhorn(cost, jnp.ones(cost.shape, bool), jnp.array([1.0, 2, 1]), entropy=0.1, rounds=rounds)
        near(np.exp(log_plan)[-len(rows) :], rows, rtol=2e-5)
    share = np.exp(log_plan - log_plan.max(axis=1, keepdims=True))
    near(share.max(axis=0), [1, 1, 0.92433441, 1], rtol=1e-5)
    assert share.argmax(axis=0).tolist() == [0, 1, 1, 2]


def test_small_numbers_of_tal():
    predicted, logits = [[0, 0, 40, 32], [0, 0, 40, 24]], [[0.0], [np.log(9)]]
    scene, table, assigner, _ = small_case("tal", predicted, logits, [0, 0, 40, 40], 0, (20, 20))
    near(table.besides["metric"], [[0.131072, 0.0419904]])
    near(assigner.partition(table, scene).target, [0.79999939, 0.25628887])


def test_small_numbers_of_hungarian():
    box_terms = 0.96354175 - 2 * 0.57159507
    for label, classification in enumerate([2.2567623, -0.1732868, -2.4742148]):
        scene, table, _, predictions = small_case("hungarian", **ONE, label=label)
        near(table.besides["exact"], [[classification + box_terms]], rtol=5e-6)
        near(5 * hungarian.box_distance(scene, predictions), [[0.96354175]])


def test_small_numbers_of_dynamic_soft_label():
    scene, table, _, _ = small_case("dynamic_soft_label", [[0, 0, 40, 28]], [[1.2, -1]], [0, 0, 40, 40], 0, (36, 20))
    near(table.cost, [[0.00292671 + 0.02265806 + 1.0700244]])
    near(dynamic_soft_label.penalised(table, scene), [[1.1956092]])
