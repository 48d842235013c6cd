"""A report made of recordings: its numbers are those of the files, its errors name what does not fit."""

import base64
import json
import re

import cv2
import numpy as np
import pytest

from lad_jax.errors import InputError
from lad_jax.files import append_line
from lad_jax.priors import make_priors
from lad_jax.report import pictures, report
from lad_jax.report.page import write_page
from lad_jax.report.recordings import names_of
from lad_jax.report.report import make_report
from lad_jax.run import recording
from lad_jax.run.recorded import as_jpeg, decision_arrays, detection_arrays
from lad_jax.testing.drawn import ANCHOR_SCALE, CANVAS_HW, STRIDES
from tests.decisions import N_OBJECTS, SCENE, decided
from tests.reference.paa import iou
from tests.report.shown import Shown, dots

NETWORKS = ["student", "teacher"]
BOXES = np.asarray(SCENE.truth.boxes[0][:N_OBJECTS])
NAMES = {"threshold_iou", "mean", "std", "means", "variances", "weights", "iterations", "supply"}


def write_run(workdir, name, *, steps=(3, 6), ids=(7, 2**40), networks=NETWORKS, scene=None, **changes):
    """A run whose evaluations of two pictures all gave the decision of an assigner about one picture."""
    workdir.mkdir(parents=True, exist_ok=True)
    decision, _ = decided(name, "colad" if len(networks) > 1 else "plain", batch=True)
    image = np.full((*CANVAS_HW, 3), (250, 20, 60), np.uint8)
    arrays = decision_arrays(decision, N_OBJECTS, tuple(networks))
    found = [{"category_id": 5, "bbox": [1.0, 2.0, 30.0, 4.0], "score": 0.25}]
    arrays |= detection_arrays(found, {5: 1}, np.ones(2, np.float32))
    whole_scene = {
        "boxes": BOXES,
        "labels": np.asarray(SCENE.truth.labels[0][:N_OBJECTS]),
        "crowd": np.zeros(N_OBJECTS, bool),
        "jpeg": as_jpeg(image, 85),
        **(scene or {}),
    }
    n = len(ids)
    about = {
        "ids": list(ids),
        "names": [f"{number}.png" for number in ids],
        "sizes": [CANVAS_HW] * n,
        "canvases": [CANVAS_HW] * n,
        "of": 190,
        "class_names": ["cat", "dog", "emu"],
        "strides": STRIDES,
        "anchor_scale": ANCHOR_SCALE,
        "method": "colad",
        "assigner": name,
        "networks": networks,
        "costs_from": networks,
        "evaluated": "student",
        **changes,
    }
    recording.write(recording.scenes_file(workdir), about, [whole_scene] * n)
    for step in steps:
        header = {"ids": list(ids), "step": step, "epoch": step / 3}
        recording.write(recording.step_file(workdir, step), header, [arrays] * n)
    return decision, arrays


def size_of(data):
    return len(json.dumps(data, separators=(",", ":")))


@pytest.fixture
def workdir(tmp_path):
    folder = tmp_path / "runs" / "paa"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("name", ["paa", "tal", "max_iou"])
def test_the_data_are_the_recordings(workdir, name):
    decision, arrays = write_run(workdir, name)
    data = json.loads(json.dumps(make_report([workdir]), allow_nan=False))
    picture, evaluated = data["pictures"][1], data["runs"][0]["evaluations"][0]["pictures"][1]
    assert picture["id"] == 2**40 and np.allclose([row["box"] for row in picture["objects"]], BOXES)
    assert sum(level["rows"] * level["columns"] for level in picture["levels"]) == SCENE.priors.valid.shape[1]

    prior, owner = (np.array(evaluated["entries"][key]) for key in ("prior", "object"))
    where = {pair: i for i, pair in enumerate(zip(arrays["object"], arrays["prior"], strict=True))}
    place = [where[pair] for pair in zip(owner, prior, strict=True)]
    for network in NETWORKS:
        costs = np.array(evaluated["costs"][network], float)
        np.testing.assert_array_equal(costs.astype(np.float16), arrays[f"cost/{network}"][place])
    np.testing.assert_array_equal(evaluated["source"], arrays["source"][place])
    for key in decision.verdict.explanation.entries:
        np.testing.assert_array_equal(np.float32(evaluated["besides"][key]), arrays[f"besides/{key}"][place], key)
    deciding = np.where(np.array(evaluated["source"]) == 1, *(evaluated["costs"][n] for n in NETWORKS[::-1]))
    assert (np.lexsort((deciding, owner)) == np.arange(len(owner))).all()
    anchors = make_priors(CANVAS_HW, STRIDES, ANCHOR_SCALE).boxes[prior]
    np.testing.assert_allclose(evaluated["entries"]["iou"], iou(anchors, BOXES[owner]), atol=6e-4)

    assert evaluated["positives"]["prior"] == np.flatnonzero(decision.verdict.assignment.object >= 0).tolist()
    for g, row in enumerate(evaluated["objects"]):
        assert row["n_positive"] == (decision.verdict.assignment.object == g).sum()
        costs = deciding[(owner == g) & (decision.verdict.assignment.object[prior] == g)]
        assert row["threshold"] is None if not len(costs) else np.float16(row["threshold"]) == np.float16(costs.max())
        assert set(row["explanation"]) <= NAMES and ("means" in row["explanation"]) == (name == "paa")
    for network, verdict in decision.alone.items():
        owner_alone, alone = verdict.assignment.object, evaluated["alone"][network]
        assert alone["positives"]["prior"] == np.flatnonzero(owner_alone >= 0).tolist()
        assert [row["n_positive"] for row in alone["objects"]] == [(owner_alone == g).sum() for g in range(N_OBJECTS)]
        assert set(alone["positives"]["prior"]) <= set(evaluated["entries"]["prior"])
    assert data["runs"][0]["detections"] == [[{"box": [1, 2, 31, 6], "label": 1, "score": 0.25}]] * 2
    content = base64.b64decode(picture["jpeg"].partition(",")[2])
    assert cv2.imdecode(np.frombuffer(content, np.uint8), 1).shape == (*CANVAS_HW, 3)


def test_errors_name_the_pictures_by_their_place(workdir):
    write_run(workdir, "paa")
    assert make_report([workdir])["runs"][0]["errors"] is None
    worst = [{"id": number, "misses": 1, "picture": None} for number in (5, 2**40, 7)]
    recording.errors_file(workdir).write_text(json.dumps({"threshold": {"best": 0.4}, "worst": worst}))
    errors = make_report([workdir], 2)["runs"][0]["errors"]
    assert [picture["picture"] for picture in errors["worst"]] == [None, 1, 0] and errors["threshold"] == {"best": 0.4}
    assert [picture["picture"] for picture in make_report([workdir], 1)["runs"][0]["errors"]["worst"]] == [
        None,
        None,
        0,
    ]
    recording.errors_file(workdir).write_text("{")
    with pytest.raises(InputError, match=r"errors\.json is damaged: delete it"):
        make_report([workdir])


def test_one_networks_costs_have_no_source(workdir):
    write_run(workdir, "paa", networks=["student"])
    (run,) = make_report([workdir])["runs"]
    assert run["evaluations"][0]["pictures"][0]["source"] is None and run["name"] == "paa"


def test_curves_and_numbers_are_the_logs(workdir):
    write_run(workdir, "max_iou")
    for step in (1, 2, 3):
        figures = {"loss": 1 / step, "positives_per_object": 4.0, "teaches/teacher": 0.25, "student/loss_box": 0.5}
        append_line(workdir / "metrics.jsonl", {"step": step, "images_per_s": 9.0, **figures})
    numbers = {"student": {"AP": 0.25, "AP50": 0.5}, "teacher": {"AP": 0.125, "AP50": None}}
    append_line(workdir / "metrics.jsonl", {"step": 3, "evaluation": numbers, "seconds": 1.0})
    (run,) = make_report([workdir])["runs"]
    assert run["curves"] == {
        "loss": {"steps": [1, 2, 3], "values": [1, 1 / 2, 1 / 3]},
        "positives": {"steps": [1, 2, 3], "values": [4.0] * 3},
        "share_taught/teacher": {"steps": [1, 2, 3], "values": [0.25] * 3},
        "student/loss_box": {"steps": [1, 2, 3], "values": [0.5] * 3},
        "AP": {"steps": [3], "values": [0.25]},
        "AP/teacher": {"steps": [3], "values": [0.125]},
    }
    assert [each["overall"] for each in run["evaluations"]] == [{"AP": 0.25, "AP50": 0.5}, {}]


def test_runs_share_the_pictures_that_all_have(tmp_path):
    write_run(tmp_path / "a", "max_iou", ids=(1, 2, 3))
    write_run(tmp_path / "b", "max_iou", ids=(9, 3, 2), steps=(5,))
    data = make_report([tmp_path / "a", tmp_path / "b"])
    assert [picture["id"] for picture in data["pictures"]] == [2, 3] and data["title"] == "a against b"
    assert [len(run["evaluations"]) for run in data["runs"]] == [2, 1]
    assert data["notes"] == ["2 of 190 validation pictures"]
    assert len(make_report([tmp_path / "a"], 1)["pictures"]) == 1


def test_what_makes_a_page_too_large_is_left_out_and_said(tmp_path, monkeypatch):
    write_run(tmp_path / "a", "max_iou", ids=range(8), steps=range(1, 13))
    whole = size_of(make_report([tmp_path / "a"]))
    monkeypatch.setattr(report, "MOST_BYTES", whole // 2)
    data = make_report([tmp_path / "a"])
    steps = [each["step"] for each in data["runs"][0]["evaluations"]]
    assert size_of(data) <= whole // 2 and len(data["pictures"]) == 8
    assert steps[0] == 1 and steps[-1] == 12 and f"{len(steps)} of 12 evaluations of a" in data["notes"]
    monkeypatch.setattr(report, "MOST_BYTES", whole // 20)
    data = make_report([tmp_path / "a"])
    assert size_of(data) <= whole // 20 and f"{len(data['pictures'])} of 190 validation pictures" in data["notes"]


def test_jpegs_are_made_smaller_where_they_are_too_large(workdir, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (*CANVAS_HW, 3), np.uint8)
    write_run(workdir, "max_iou", scene={"jpeg": as_jpeg(noise, 85)})
    before, after = [], []
    for limit, found in ((10**6, before), (20_000, after)):
        monkeypatch.setattr(pictures, "JPEG_BYTES", limit)
        found.extend(len(picture["jpeg"]) for picture in make_report([workdir])["pictures"])
    assert sum(after) < 0.7 * sum(before)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ["cat"]}, "of other classes"),
        ({"names": ["x.png", "y.png"]}, "on other data"),
        ({"ids": (5, 6)}, "on other data"),
        ({"sizes": [(64, 64)] * 2}, "whose pictures have other sizes"),
        ({"canvases": [(128, 192)] * 2}, "whose pictures have other sizes"),
        ({"scene": {"boxes": BOXES + 1}}, "with other objects"),
        ({"anchor_scale": 4.0}, "with other priors"),
    ],
)
def test_runs_that_cannot_be_compared(tmp_path, changes, message):
    write_run(tmp_path / "a", "max_iou")
    write_run(tmp_path / "b", "max_iou", **changes)
    with pytest.raises(InputError, match=f"a and .*b are runs {message}: make a report of each"):
        make_report([tmp_path / "a", tmp_path / "b"])


def test_a_run_without_a_recording(tmp_path):
    with pytest.raises(InputError, match=re.escape(f"{tmp_path} has no recording: --record makes one")):
        make_report([tmp_path])


def test_runs_are_named_by_what_tells_them_apart(tmp_path):
    assert names_of([tmp_path / "a/seed_0", tmp_path / "b/seed_0"]) == ["a/seed_0", "b/seed_0"]
    assert names_of([tmp_path / "a/seed_0", tmp_path / "a/seed_1"]) == ["seed_0", "seed_1"]


def test_the_page_has_the_data(workdir, tmp_path):
    write_run(workdir, "max_iou", ids=(1, 2))
    output = tmp_path / "new" / "report.html"
    with pytest.raises(InputError, match=r"is a folder: give a file, such as .*report\.html"):
        report.report([workdir], tmp_path)
    lines = report.report([workdir], output)
    embedded = re.search(r'id="data">(.*?)</script>', output.read_text(), re.DOTALL)
    assert embedded and json.loads(embedded[1]) == json.loads(json.dumps(make_report([workdir])))
    assert lines[-1].startswith(f"{output} (")


@pytest.mark.parametrize("name", ["paa", "tal"])
def test_the_page_has_a_dot_for_each_positive_of_the_assignment(name, workdir, browser, tmp_path):
    """From the assignment of a batch by way of recording and report to what a browser draws; so for the line."""
    decision, _ = write_run(workdir, name)
    write_page(make_report([workdir]), tmp_path / "report.html")
    shown = Shown(browser, tmp_path / "report.html")
    owner, levels = decision.verdict.assignment.object, SCENE.priors.levels
    expected = {level: int((owner[part] >= 0).sum()) for level, part in enumerate(levels.slices)}
    assert dots(shown.open(b="")) == {level: n for level, n in expected.items() if n}
    g = int(np.bincount(owner[owner >= 0]).argmax())
    table = decision.tables[NETWORKS[0]]
    costs = np.choose(np.maximum(decision.source, 0), [decision.tables[network].cost for network in NETWORKS])
    largest = (costs[g] if table.cost.ndim == 2 else costs)[owner == g].max()
    text = shown.open(b="", object=g).locator(".threshold text").first.text_content()
    assert float(text.split()[-1]) == pytest.approx(float(largest), rel=5e-3)
    assert shown.complaints == []
    shown.page.close()
