"""What a recording keeps of a decision: the assignment whole, the costs in float16, few entries of many."""

import numpy as np
import pytest

from lad_jax.assign import ASSIGNERS
from lad_jax.distill import known_costs
from lad_jax.run import recorded, recording
from lad_jax.run.recorded import as_jpegs, decision_arrays, detection_arrays
from tests.decisions import N_OBJECTS, PICTURE, SCENE, decided

NETWORKS = ("student", "teacher")


def dense(values, n):
    """Values of a table of [A] or [G, A] at pairs: a function of object and prior."""
    return (lambda g, a: values[a]) if values.ndim == 1 else (lambda g, a: values[:n][g, a])


@pytest.mark.parametrize("name", ASSIGNERS)
def test_a_recording_is_the_decision(name):
    decision, batch = decided(name, batch=True)
    arrays = decision_arrays(decision, N_OBJECTS, NETWORKS)
    owner = np.full(SCENE.priors.valid.shape[1], -1)
    owner[arrays["positive/prior"]] = arrays["positive/object"]
    np.testing.assert_array_equal(owner, batch.assignment.object[PICTURE])
    np.testing.assert_array_equal(arrays["positive/target"], batch.assignment.target[PICTURE][owner >= 0])

    g, a = arrays["object"].astype(int), arrays["prior"].astype(int)
    for network in NETWORKS:
        table = decision.tables[network]
        expected = dense(known_costs(table), N_OBJECTS)(g, a).astype(np.float16)
        np.testing.assert_array_equal(arrays[f"cost/{network}"], np.where(np.isinf(expected), np.nan, expected))
    np.testing.assert_array_equal(arrays["source"], dense(decision.source, N_OBJECTS)(g, a))
    for key, values in decision.verdict.explanation.entries.items():
        np.testing.assert_array_equal(arrays[f"besides/{key}"], dense(values, N_OBJECTS)(g, a))
    pairs = set(zip(g.tolist(), a.tolist(), strict=True))
    assert {(int(owner[prior]), int(prior)) for prior in np.flatnonzero(owner >= 0)} <= pairs
    assert len(pairs) == len(g) and (np.diff(g) >= 0).all()
    if decision.source.ndim > 1:
        student, teacher = (dense(decision.tables[n].cost, N_OBJECTS)(g, a) for n in NETWORKS)
        used = np.where(arrays["source"] == 1, teacher, student)
        assert (np.diff(used)[np.diff(g) == 0] >= 0).all(), "the cheapest first"


@pytest.mark.parametrize("name", ["paa", "tal", "ota"])
def test_entries_are_all_or_an_objects_cheapest(name, monkeypatch):
    monkeypatch.setattr(recorded, "OF_OBJECT", 30)
    decision, _ = decided(name, batch=True)
    arrays = decision_arrays(decision, N_OBJECTS, NETWORKS)
    objects, of = decision.tables["student"].object, arrays["object"]
    np.testing.assert_array_equal(arrays["n_candidates"], [(objects == g).sum() for g in range(N_OBJECTS)])
    if objects.ndim == 1:
        np.testing.assert_array_equal(np.bincount(of, minlength=N_OBJECTS), arrays["n_candidates"])
        return
    chosen = np.where(decision.source == 1, decision.tables["teacher"].cost, decision.tables["student"].cost)
    for g in range(N_OBJECTS):
        there = np.flatnonzero(objects[g] == g)
        costs = chosen[g, there]
        cheapest = set(there[costs < np.sort(costs)[30]]) if len(there) > 30 else set(there)  # of a tie all or none
        verdicts = ("", "alone/student/", "alone/teacher/")
        positives = {
            prior for v in verdicts for prior in arrays[f"{v}positive/prior"][arrays[f"{v}positive/object"] == g]
        }
        assert set(arrays["prior"][of == g]) == cheapest | positives


def test_the_threshold_of_paa_is_the_largest_cost_of_its_positives():
    decision, _ = decided("paa", batch=True)
    arrays = decision_arrays(decision, N_OBJECTS, NETWORKS)
    for g in range(N_OBJECTS):
        at = arrays["object"] == g
        positive = np.isin(arrays["prior"][at], arrays["positive/prior"])
        costs = np.where(arrays["source"][at] == 1, arrays["cost/teacher"][at], arrays["cost/student"][at])
        threshold = arrays["threshold"][g]
        assert np.isnan(threshold) if not positive.any() else np.float16(threshold) == costs[positive].max()
    assert not np.isnan(arrays["threshold"]).all()


def test_costs_that_are_not_finite_or_too_large_are_not_known():
    decision, _ = decided("max_iou", "plain")
    at = np.flatnonzero(decision.tables["student"].object >= 0)
    cost = np.array(decision.tables["student"].cost)
    cost[at[:2]] = 1e6, 2e5
    table = decision.tables["student"]._replace(cost=cost)
    spoilt = decision_arrays(decision._replace(tables={"student": table}, alone={}), N_OBJECTS, ("student",))
    assert set(spoilt["prior"][np.isnan(spoilt["cost/student"])]) == set(at[:2].tolist())


def test_detections_are_on_the_resized_picture():
    found = [{"category_id": 9, "bbox": [10.0, 20.0, 30.0, 40.0], "score": 0.5}]
    arrays = detection_arrays(found, {5: 0, 9: 1}, np.array([2.0, 0.5], np.float32))
    assert arrays["detection/boxes"].tolist() == [[20, 10, 80, 30]] and arrays["detection/labels"].tolist() == [1]
    assert detection_arrays([], {}, np.ones(2, np.float32))["detection/boxes"].shape == (0, 4)


def test_jpegs_keep_to_their_limit_by_their_quality():
    noise = [np.random.default_rng(i).integers(0, 256, (64, 96, 3), np.uint8) for i in range(3)]
    free, tight = (sum(map(len, as_jpegs(noise, limit))) for limit in (10**6, 15_000))
    assert tight <= 15_000 < free


PICTURES = [{"a": np.arange(n), "b": np.ones((2 * n, 4), np.float16)} for n in (2, 0, 3)]


def test_files_give_back_what_was_written(tmp_path):
    file = recording.step_file(tmp_path, 7)
    recording.write(file, {"ids": [1, 2**60, "x"]}, PICTURES)
    header, pictures = recording.read(file)
    assert header["ids"] == [1, 2**60, "x"] and recording.recorded_steps(tmp_path) == [7]
    for found, expected in zip(pictures, PICTURES, strict=True):
        assert set(found) == set(expected)
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name])
    recording.write(file, {"ids": []}, [])
    assert recording.read(file)[1] == []


def test_a_write_that_is_cut_off_leaves_the_old_file(tmp_path, monkeypatch):
    file = recording.step_file(tmp_path, 7)
    recording.write(file, {"ids": [1, 2, 3]}, PICTURES)
    before = file.read_bytes()

    def killed(stream, **arrays):
        stream.write(before[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", killed)
    with pytest.raises(KeyboardInterrupt):
        recording.write(file, {"ids": [1, 2, 3]}, PICTURES)
    assert file.read_bytes() == before and list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(("spoil", "message"), [(lambda b: b[: len(b) // 2], "is damaged"), (lambda b: b"", "damaged")])
def test_a_damaged_file_is_named(tmp_path, spoil, message):
    file = recording.step_file(tmp_path, 7)
    recording.write(file, {"ids": [1, 2, 3]}, PICTURES)
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(recording.InputError, match=f"7.npz {message}|7.npz is {message}"):
        recording.read(file)


def test_what_is_recorded_of_later_steps_is_dropped(tmp_path):
    for step in (3, 6, 12):
        recording.write(recording.step_file(tmp_path, step), {"ids": []}, [])
    recording.drop_after(tmp_path, 6)
    assert recording.recorded_steps(tmp_path) == [3, 6]
