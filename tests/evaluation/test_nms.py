"""NMS and voting against their literal twins, and their laws."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.evaluation import nms as module
from lad_jax.evaluation.nms import nms, vote
from tests.reference import nms as twin

run = jax.jit(nms, static_argnames=("iou_threshold", "max_detections"))


def random_case(seed, *, count=150, classes=3, jitter=3.0, kept=1.0):
    """Boxes in about `count / 6` heaps, and scores without ties, a share `kept` of them candidates."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 100, (count // 6, 2))
    heaps = np.concatenate([corner, corner + rng.uniform(15, 60, corner.shape)], axis=1)
    boxes = (heaps[rng.integers(len(heaps), size=count)] + rng.normal(0, jitter, (count, 4))).astype(np.float32)
    scores = rng.permutation(np.linspace(0.06, 0.9, count * classes, dtype=np.float32)).reshape(count, classes)
    return boxes, np.where(rng.random(scores.shape) < kept, scores, -np.inf).astype(np.float32)


def pairs(picks):
    valid = np.asarray(picks.valid)
    return list(zip(picks.priors[valid].tolist(), picks.classes[valid].tolist(), strict=True))


@pytest.mark.parametrize("kept", [1.0, 0.3, 0.02])
@pytest.mark.parametrize("threshold", [0.3, 0.6])
@pytest.mark.parametrize("seed", range(3))
def test_picks_equal_the_twin(seed, threshold, kept):
    boxes, scores = random_case(seed, kept=kept)
    picks = run(boxes, scores, iou_threshold=threshold, max_detections=100)
    expected = twin.nms(boxes, scores, threshold, 100)
    assert pairs(picks) == expected
    np.testing.assert_array_equal(picks.scores[: len(expected)], [scores[pair] for pair in expected])
    assert not np.asarray(picks.valid[len(expected) :]).any()


@pytest.mark.parametrize("block", [1, 7, 64, 10_000])
def test_the_size_of_a_block_changes_nothing(block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    boxes, scores = random_case(5)
    scores = np.round(scores, 1)  # many are equal: those of the lower class, then of the lower prior come first
    picks = jax.jit(functools.partial(nms, iou_threshold=0.5, max_detections=60))(boxes, scores)
    assert pairs(picks) == twin.nms(boxes, scores, 0.5, 60)


def test_a_chain_keeps_every_second_box():
    """Each box overlaps but the next one too much: whether one is kept hangs on all before it."""
    left = 4.0 * np.arange(101, dtype=np.float32)
    boxes = np.stack([left, 0 * left, left + 10, 0 * left + 10], axis=1)
    scores = np.linspace(0.9, 0.1, 101, dtype=np.float32)[:, None]
    picks = run(boxes, scores, iou_threshold=0.4, max_detections=100)
    assert pairs(picks) == [(prior, 0) for prior in range(0, 101, 2)]


def test_untrained_network_has_every_prior_as_candidate():
    """No cap on candidates: the picks among many thousand nearly equal ones are still the exact ones."""
    rng = np.random.default_rng(0)
    boxes, _ = random_case(1, count=1500)
    scores = (0.0705 + 1e-4 * rng.permutation(1500 * 8).reshape(1500, 8) / 12000).astype(np.float32)
    picks = run(boxes, scores, iou_threshold=0.6, max_detections=100)
    # The 100th pick's score bounds what can be among the first 100, so the twin need not look below it.
    reachable = np.where(scores >= float(picks.scores[-1]), scores, -np.inf)
    found, expected = pairs(picks), twin.nms(boxes, reachable, 0.6, 100)
    assert len(found) == 100
    np.testing.assert_array_equal(picks.scores, [scores[pair] for pair in expected])


def test_nothing_to_find():
    boxes, scores = random_case(0)
    picks = run(boxes, np.full_like(scores, -np.inf), iou_threshold=0.6, max_detections=10)
    assert not picks.valid.any()
    assert (picks.scores == 0).all() and (picks.classes == -1).all()


def test_overlap_equal_to_the_threshold_does_not_suppress():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 6], [0, 0, 10, 6.01]], np.float32)
    scores = np.array([[0.9], [0.7], [0.8]], np.float32)
    assert pairs(run(boxes, scores, iou_threshold=0.6, max_detections=3)) == [(0, 0), (1, 0)]


def test_classes_do_not_suppress_each_other():
    boxes = np.tile(np.array([0, 0, 10, 10], np.float32), (2, 1))
    scores = np.array([[0.9, -np.inf, 0.3], [0.8, 0.5, 0.4]], np.float32)
    assert pairs(run(boxes, scores, iou_threshold=0.6, max_detections=6)) == [(0, 0), (1, 1), (1, 2)]


def test_boxes_without_area_are_picked_once():
    boxes = np.array([[5, 5, 5, 9], [5, 5, 5, 9]], np.float32)
    scores = np.array([[0.9], [0.8]], np.float32)
    assert pairs(run(boxes, scores, iou_threshold=0.6, max_detections=5)) == [(0, 0), (1, 0)]


def test_equal_scores_give_one_of_equal_boxes():
    boxes = np.tile(np.array([0, 0, 10, 10], np.float32), (4, 1))
    picks = run(boxes, np.full((4, 2), 0.5, np.float32), iou_threshold=0.6, max_detections=8)
    assert pairs(picks) == [(0, 0), (0, 1)]


def test_permuting_candidates_permutes_picks():
    boxes, scores = random_case(4)
    order = np.random.default_rng(4).permutation(len(boxes))
    plain = pairs(run(boxes, scores, iou_threshold=0.6, max_detections=50))
    shuffled = pairs(run(boxes[order], scores[order], iou_threshold=0.6, max_detections=50))
    assert [(order[prior], label) for prior, label in shuffled] == plain


def test_batch_equals_single():
    cases = [random_case(seed, kept=kept) for seed, kept in enumerate([1.0, 0.01, 0.0])]
    options = {"iou_threshold": 0.6, "max_detections": 40}
    batch = jax.vmap(functools.partial(nms, **options))(*map(np.stack, zip(*cases, strict=True)))
    for row, case in enumerate(cases):
        jax.tree.map(
            np.testing.assert_array_equal, jax.tree.map(lambda x, row=row: x[row], batch), run(*case, **options)
        )


def test_vote_golden_value():
    kept = jnp.array([[0.0, 0.0, 10.0, 10.0]])
    boxes = jnp.array([[0, 0, 10, 10], [1, 1, 11, 11], [50, 50, 60, 60], [0, 0, 5, 5.0]])
    scores = jnp.array([[0.9], [0.6], [0.8], [-jnp.inf]])  # the last, 0.04, is below the threshold
    voted = vote(kept, jnp.array([0]), boxes, scores)
    np.testing.assert_allclose(voted, [[0.0112, 0.0112, 10.0112, 10.0112]], atol=5e-5)


@pytest.mark.parametrize("seed", range(3))
def test_votes_equal_the_twin(seed):
    boxes, scores = random_case(seed, kept=0.5)
    picks = run(boxes, scores, iou_threshold=0.6, max_detections=60)
    kept = boxes[picks.priors]
    voted = vote(*map(jnp.asarray, (kept, picks.classes, boxes, scores)))
    expected = [twin.vote(box, label, boxes, scores) for box, label in zip(kept, picks.classes.tolist(), strict=True)]
    np.testing.assert_allclose(voted, expected, atol=1e-3)
    assert np.abs(voted - kept).max() > 1  # the votes do move boxes


def test_box_without_area_stays():
    box = jnp.array([[5.0, 5.0, 5.0, 9.0]])
    np.testing.assert_array_equal(vote(box, jnp.array([0]), box, jnp.array([[0.5]])), box)
