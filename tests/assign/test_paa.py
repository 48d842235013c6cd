"""PAA against the worked example of spec 12.3, its numpy twin, and awkward pictures."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax import masked
from lad_jax.assign import AssignerOptions, make_assigner
from lad_jax.assign.candidates import max_iou_candidates
from lad_jax.assign.paa import PAAOptions, cheapest_of_each_object, make_paa
from lad_jax.priors import make_priors
from lad_jax.types import CostTable, GroundTruth, Predictions, Scene
from tests.reference import paa as twin
from tests.reference.example import (
    CANVAS,
    IMAGE_HW,
    NO_OBJECTS,
    OBJECTS,
    loss_terms,
    numpy_objects,
    outputs,
    predictions_of,
    priors_of,
    scene_of,
    truth_of,
)

PRIORS = priors_of(CANVAS, IMAGE_HW)
LEVEL = PRIORS.levels.of_prior
PAA = make_paa(PAAOptions())


@jax.jit
def assign(raw, truth):
    scene = scene_of(PRIORS, truth)
    table = jax.vmap(PAA.cost)(scene, predictions_of(*raw, PRIORS.boxes))
    return table, jax.vmap(PAA.partition)(table, scene)


@pytest.fixture(scope="module")
def worked():
    return assign(outputs(0.0), truth_of(OBJECTS))


def test_worked_candidates(worked):
    table, _ = worked
    assert [np.bincount(row[row >= 0]).tolist() for row in np.asarray(table.object)] == [[154, 146, 35, 38], [35, 193]]
    assert (np.asarray(table.object[0])[np.asarray(PRIORS.valid[0])] < 0).sum() == 55


def test_worked_costs(worked):
    table, _ = worked
    cost, kept = np.asarray(table.cost, np.float64), np.asarray(table.object) >= 0
    np.testing.assert_allclose(cost[0, 3:7], [1.766783, 1.832029, 1.975518, 2.281940], rtol=1e-6)
    assert table.object[0, 3:7].tolist() == [0] * 4 and table.object[0, 10] == 2
    np.testing.assert_allclose(cost[0, 10], 2.053270, rtol=1e-6)
    for i, (total, low, high) in enumerate([(644.87533, 0.6811438, 2.5619826), (398.97651, 0.9713740, 2.4738350)]):
        c = cost[i][kept[i]]
        np.testing.assert_allclose([c.sum(), c.min(), c.max()], [total, low, high], rtol=1e-6)


def test_worked_positives(worked):
    _, assignment = worked
    expected = [
        {
            0: [65, 84, 144, 145, 146, 164, 165],
            1: [215, 216, 233, 234, 235, 368, 377, 378, 386, 387],
            2: [16, 34, 35, 52, 53, 70, 71],
            3: [153, 172, 214, 252],
        },
        {0: [24, 42, 43, 60], 1: [109, 126, 127, 145, 146, 153, 170, 171, 172, 333, 343]},
    ]
    for owner, positive, of_object in zip(assignment.object, assignment.positive, expected, strict=True):
        for g, priors in of_object.items():
            assert np.flatnonzero(owner == g).tolist() == priors
        np.testing.assert_array_equal(positive, owner >= 0)
    np.testing.assert_array_equal(assignment.weight, PRIORS.valid)


def test_worked_losses_and_gradients(worked):
    _, assignment = worked
    truth = truth_of(OBJECTS)

    @jax.jit
    @jax.value_and_grad
    def loss(raw):
        predictions = predictions_of(*raw, PRIORS.boxes)
        terms = loss_terms(["detection"], predictions, assignment, scene_of(PRIORS, truth), box_weighting="quality")
        return sum(terms.values())

    total, gradients = loss(tuple(map(jnp.asarray, outputs(0.0))))
    np.testing.assert_allclose(total, 0.38118914 + 0.66529632 + 0.35512516, rtol=1e-5)
    norms = [jnp.linalg.norm(g.ravel()) for g in gradients]
    np.testing.assert_allclose(norms, [0.0387135, 0.0362611, 0.0190011], rtol=1e-5)


def random_objects(seed, n):
    """Objects of all sizes, some of them a few pixels, some beyond the canvas's border."""
    rng = np.random.default_rng(seed)
    side = np.exp(rng.uniform(np.log(3), np.log(120), (n, 2)))
    corner = rng.uniform(-5, 110, (n, 2)) - side / 4
    return np.concatenate([corner, corner + side], axis=1).astype(np.float32), rng.integers(0, 3, n)


def test_assignment_equals_the_twin():
    """Candidates and costs of every prior; positives wherever rounding does not decide (spec 5.4: 97 %)."""
    same = []
    for seed in range(6):
        truth = truth_of([random_objects(seed, 12), random_objects(100 + seed, 5)], 12)
        raw = outputs(0.3 * seed)
        table, assignment = assign(raw, truth)
        for i in range(2):
            boxes, labels = numpy_objects(truth, i)
            anchors = np.asarray(PRIORS.boxes[i])
            candidate = twin.pre_assign(anchors, np.asarray(PRIORS.valid[i]), boxes)
            np.testing.assert_array_equal(table.object[i], candidate)
            logits, deltas = (x[i].astype(np.float64) for x in raw[:2])
            cost = twin.costs(candidate, logits, twin.decode(anchors.astype(np.float64), deltas), boxes, labels)
            kept = candidate >= 0
            np.testing.assert_allclose(np.asarray(table.cost[i])[kept], cost[kept], rtol=1e-5)
            owner = twin.partition(candidate, np.asarray(table.cost[i], np.float64), LEVEL, len(labels))
            same += [np.array_equal(owner == g, np.asarray(assignment.object[i]) == g) for g in range(len(labels))]
    assert len(same) == 6 * 17 and np.mean(same) >= 0.97


candidates = jax.jit(max_iou_candidates, static_argnames="min_iou")


@pytest.mark.parametrize("seed", range(4))
def test_candidates_of_a_crowded_picture_equal_the_twins(seed):
    """Several objects claim the same prior: the later object wins."""
    rng = np.random.default_rng(seed)
    rows, labels = random_objects(seed, 8)
    truth = truth_of([(np.concatenate([rows, rows[rng.permutation(8)]]), np.tile(labels, 2))] * 2, 16)
    found = jax.vmap(partial(candidates, min_iou=PAAOptions().min_iou))(PRIORS, truth)
    for i in range(2):
        boxes, _ = numpy_objects(truth, i)
        expected = twin.pre_assign(np.asarray(PRIORS.boxes[i]), np.asarray(PRIORS.valid[i]), boxes)
        np.testing.assert_array_equal(found[i], expected)


def candidates_of(objects, image=0):
    take = lambda tree: jax.tree.map(lambda x: x[image], tree)  # noqa: E731
    return np.asarray(candidates(take(PRIORS), take(truth_of([objects] * 2, 8)), min_iou=0.1))


def test_a_tiny_object_claims_all_priors_that_contain_it():
    candidate = candidates_of(([[100, 5, 108, 11]], [0]))
    assert (candidate == 0).sum() == 35


def test_an_object_without_area_claims_none():
    """The reference would give it every prior (spec 3)."""
    plain = candidates_of(([[10, 12, 70, 90]], [0]))
    for order in (0, 1):
        rows = [[10, 12, 70, 90]]
        rows.insert(order, [40, 40, 40, 40])
        candidate = candidates_of((rows, [0, 0]))
        np.testing.assert_array_equal(candidate == 1 - order, plain == 0)
        assert not (candidate == order).any()


def test_an_object_beyond_all_priors_claims_none():
    assert (candidates_of(([[5000, 5000, 5100, 5100]], [0])) == -1).all()


def test_equal_objects():
    """By IoU the first of equals wins; of claimants of the best prior the last."""
    candidate = candidates_of(([[10, 12, 70, 90]] * 2, [0, 1]))
    assert (candidate == 1).sum() >= 1 and (candidate == 0).sum() > (candidate == 1).sum()
    np.testing.assert_array_equal(
        candidate,
        twin.pre_assign(
            np.asarray(PRIORS.boxes[0]), np.asarray(PRIORS.valid[0]), np.array([[10, 12, 70, 90]] * 2, np.float32)
        ),
    )


def test_crowds_are_background():
    truth = truth_of(OBJECTS)
    crowded = truth._replace(crowd=truth.crowd.at[0, 1].set(True))
    without = [tuple(list(np.delete(np.asarray(x, object), 1, axis=0)) for x in OBJECTS[0]), OBJECTS[1]]
    a, b = assign(outputs(0.0), crowded), assign(outputs(0.0), truth_of(without, 4))
    np.testing.assert_array_equal(a[1].positive, b[1].positive)
    assert not (a[1].object == 1)[0].any()


def test_padded_priors_take_no_part(worked):
    table, assignment = worked
    invalid = ~np.asarray(PRIORS.valid)
    assert (np.asarray(table.object)[invalid] == -1).all()
    assert not assignment.positive[invalid].any() and not assignment.weight[invalid].any()


def test_no_objects():
    _, assignment = assign(outputs(0.0), truth_of([NO_OBJECTS] * 2))
    assert not assignment.positive.any() and (assignment.object == -1).all() and (assignment.iterations == 0).all()
    np.testing.assert_array_equal(assignment.weight, PRIORS.valid)


def partition_of(objects, costs):
    """Partition of hand-made candidates: `objects` and `costs` of the first priors of level 0."""
    return split(hand_made(objects, costs), jax.tree.map(lambda x: x[0], scene_of(PRIORS, truth_of(OBJECTS))))


def hand_made(objects, costs):
    n = len(LEVEL)
    owner = jnp.full(n, -1).at[: len(objects)].set(jnp.array(objects))
    return CostTable(jnp.zeros(n).at[: len(costs)].set(jnp.array(costs, jnp.float32)), owner, owner >= 0, {})


split = jax.jit(PAA.partition)


def test_a_lone_candidate_is_negative():
    """As in the reference (spec 5.1, step 3)."""
    assignment = partition_of([0, 1, 1], [0.1, 0.5, 0.9])
    assert np.flatnonzero(assignment.positive).tolist() == [1]


def test_only_the_cheapest_nine_of_a_level_take_part():
    costs = np.linspace(2.0, 1.0, 14)
    assignment = partition_of([0] * 14, costs)
    expected = twin.positives_of(np.sort(costs.astype(np.float32))[:9].astype(np.float64))
    assert np.flatnonzero(assignment.positive).tolist() == sorted(13 - expected)
    assert assignment.object[13] == 0


def test_equal_costs_give_the_first_prior():
    assert np.flatnonzero(partition_of([0] * 12, [1.5] * 12).positive).tolist() == [0]


def test_costs_that_are_not_finite_take_no_part():
    costs = [masked.WORST, 1.0, 1.1, masked.WORST, 2.0, 2.1]
    assignment = partition_of([0] * 6, costs)
    assert (
        np.flatnonzero(assignment.positive).tolist()
        == np.flatnonzero(partition_of([-1, 0, 0, -1, 0, 0], costs).positive).tolist()
        != []
    )
    assert not partition_of([0, 0], [masked.WORST, masked.WORST]).positive.any()


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_predictions_that_are_not_finite(broken):
    """They cost `WORST`; the other priors' costs stay, and the other picture's assignment."""
    raw = outputs(0.0)
    spoiled = tuple(x.copy() for x in raw)
    spoiled[1][0, 100:150] = broken
    (table, assignment), (sound_table, sound) = assign(spoiled, truth_of(OBJECTS)), assign(raw, truth_of(OBJECTS))
    assert np.isfinite(table.cost).all()
    assert (table.cost[0, 100:150] == masked.WORST).all() and not assignment.positive[0, 100:150].any()
    np.testing.assert_array_equal(table.cost[0, 150:], sound_table.cost[0, 150:])
    np.testing.assert_array_equal(assignment.positive[1], sound.positive[1])
    assert assignment.positive[0].any()


def test_cheapest_of_each_object_equals_sorting_by_hand(worked):
    table, _ = worked
    n = 4
    cheapest = jax.vmap(partial(cheapest_of_each_object, per_level=9))
    index, costs, kept = cheapest(table, scene_of(PRIORS, truth_of(OBJECTS)))
    for i in range(2):
        for g in range(n):
            expected = twin.cheapest(*map(np.asarray, (table.object[i], table.cost[i], LEVEL)), g)
            keep = np.asarray(kept[i, g])
            np.testing.assert_array_equal(np.asarray(index[i, g])[keep], expected)
            np.testing.assert_array_equal(np.asarray(costs[i, g])[keep], np.asarray(table.cost[i])[expected])
            assert keep[: keep.sum()].all()


def test_memory_and_the_host():
    """The compiled assignment calls nothing on the host, and needs memory that grows no faster than the objects."""

    def compiled(n):
        objects = GroundTruth(
            boxes=jax.ShapeDtypeStruct((2, n, 4), jnp.float32),
            labels=jax.ShapeDtypeStruct((2, n), jnp.int32),
            mask=jax.ShapeDtypeStruct((2, n), jnp.bool_),
            crowd=jax.ShapeDtypeStruct((2, n), jnp.bool_),
        )
        priors = jax.tree.map(jnp.asarray, make_priors((256, 320), (8, 16, 32, 64, 128), 8.0))
        a, assigner = len(priors.valid), make_assigner(AssignerOptions())
        shapes = [(2, a, 80), (2, a, 80), (2, a, 4), (2, a, 4), (2, a)]
        predictions = Predictions(*[jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes])

        def assign(p, t):
            scene = Scene(priors, t, jnp.zeros(2, jnp.int32), jnp.zeros(()))
            return assigner.partition(assigner.cost(scene, p), scene)

        return jax.jit(jax.vmap(assign)).lower(predictions, objects).compile()

    programs = {n: compiled(n) for n in (32, 128, 512)}  # eight at a time: fewer need no less
    memory = {n: program.memory_analysis().temp_size_in_bytes for n, program in programs.items()}
    # In proportion to the objects it would be 5, to their square 17.
    assert memory[512] - memory[32] <= 6 * (memory[128] - memory[32])
    # A table of [G, A, C] alone would be this large.
    assert memory[512] < 2 * 512 * 2134 * 80 * 4 / 10
    for program in programs.values():
        assert not re.search(r"callback|outfeed|infeed|\bsend\(|\brecv\(", program.as_text())
