"""The recorder of a run: what an evaluation saw, on any number of devices; and the same afterwards from checkpoints."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from lad_jax.assign import AssignerOptions, make_assigner
from lad_jax.data import eval_batches, make_eval_plan, open_dataset
from lad_jax.distill import METHODS, SwitchOptions, assign_batch
from lad_jax.errors import InputError
from lad_jax.evaluation.evaluator import Evaluator
from lad_jax.mesh import MeshOptions, make_mesh, replicate
from lad_jax.priors import make_priors, within
from lad_jax.run import checkpoint, recording
from lad_jax.run.meta import Meta, as_json, check_same_run
from lad_jax.run.record import record
from lad_jax.run.recorder import Recorder
from lad_jax.run.scenes import plan_to_record
from lad_jax.run.train import train
from lad_jax.train.state import init_variables
from lad_jax.types import Scene
from tests.networks import OPTIONS, OneLayer
from tests.run.tiny import tiny

LAD = tiny(method="dynamic_lad", teacher__path="elsewhere", report__pictures=3)
DATASET = open_dataset(LAD.data, "val")
MODEL = OneLayer(OPTIONS, len(DATASET.class_names))
VARIABLES = {"student": init_variables(MODEL, 0), "teacher": init_variables(MODEL, 1)}


def recorded(workdir, devices):
    """Record an evaluation of the student, which a frozen teacher helps to assign for."""
    mesh = make_mesh(MeshOptions(data=devices), {})
    evaluator = Evaluator({"student": MODEL}, DATASET, LAD.data, LAD.evaluation, mesh)
    models, on_devices = dict.fromkeys(VARIABLES, MODEL), replicate(VARIABLES, mesh)
    assigner, frozen = make_assigner(LAD.assigner), {"teacher": on_devices["teacher"]}
    recorder = Recorder(LAD, workdir, DATASET, assigner, models, frozen, mesh, steps_per_epoch=3)
    for step in (3, 6):
        results = evaluator({"student": on_devices["student"]}, recorder.observe)
        recorder.record(step, results["student"].detections)
    return results["student"].detections


def expected():
    """The assignment of the evaluation's first batch, by a training step's function."""
    batch = next(iter(eval_batches(DATASET, make_eval_plan(DATASET, LAD.data, batch_size=4), LAD.data)))
    canvas = make_priors(batch.canvas, OPTIONS.strides, OPTIONS.anchor_scale)
    priors = jax.vmap(lambda hw: within(canvas, hw))(batch.pictures.image_hw)
    scene = Scene(priors, batch.truth, batch.pictures.image_hw, np.ones(4, np.float32))
    predictions = {n: jax.jit(MODEL.apply)(v, *batch.pictures[:2]) for n, v in VARIABLES.items()}
    functions = {"assigner": make_assigner(AssignerOptions()), "switch": SwitchOptions()}
    method = METHODS["dynamic_lad"]
    answer = jax.jit(lambda p, s: assign_batch(p, s, method=method, **functions))(predictions, scene)
    return batch, jax.device_get(answer)


@pytest.mark.parametrize("devices", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_a_recording_has_what_a_training_step_would_do(devices, tmp_path):
    detections = recorded(tmp_path, devices)
    batch, answer = expected()
    scenes, steps = recording.scenes_file(tmp_path), [recording.step_file(tmp_path, step) for step in (3, 6)]
    header, pictures = recording.read(scenes)
    ids = [DATASET.records[position].id for position in batch.position[:3]]
    assert header["ids"] == ids and header["networks"] == ["student", "teacher"] == header["costs_from"]
    for step, epoch in zip(steps, (1.0, 2.0), strict=True):
        about, evaluated = recording.read(step)
        assert about["ids"] == ids and about["epoch"] == epoch
        for row, (scene, arrays) in enumerate(zip(pictures, evaluated, strict=True)):
            np.testing.assert_array_equal(scene["boxes"], batch.truth.boxes[row][batch.truth.mask[row]])
            owner = np.full(answer.assignment.object.shape[1], -1)
            owner[arrays["positive/prior"]] = arrays["positive/object"]
            np.testing.assert_array_equal(owner, answer.assignment.object[row])
            assert {"cost/student", "cost/teacher"} <= set(arrays)
            np.testing.assert_array_equal(
                [(arrays["source"] == i).sum() for i in range(2)], answer.compared[row], "every candidate of PAA"
            )
            of_picture = [d["score"] for d in detections if d["image_id"] == ids[row]]
            np.testing.assert_allclose(arrays["detection/scores"], of_picture)


def test_a_run_records_and_its_checkpoints_give_the_same(tmp_path):
    options = tiny(train__epochs=1, report__pictures=2)
    train(options, tmp_path / "run")
    assert recording.recorded_steps(tmp_path / "run") == [3]
    copied = shutil.copytree(tmp_path / "run", tmp_path / "copy")
    shutil.rmtree(recording.folder_of(copied))
    record(copied)
    found, again = (recording.errors_file(workdir).read_bytes() for workdir in (tmp_path / "run", copied))
    assert found == again, "from detections.json and metrics.json"
    errors, metrics = json.loads(found), json.loads((copied / "metrics.json").read_bytes())["student"]
    n_objects = sum(int((~record.crowd).sum()) for record in DATASET.records)
    assert sum(map(sum, errors["confusion"]["counts"][:-1])) == n_objects and errors["overall"] == metrics["overall"]
    assert {picture["id"] for picture in errors["worst"]} >= {record.id for record in DATASET.records[:2]}
    assert recording.recorded_steps(copied) == [int(f.name) for f in checkpoint.all_of(copied)]
    for file in ("scenes.npz", "3.npz"):
        ours, theirs = (recording.read(recording.folder_of(workdir) / file) for workdir in (tmp_path / "run", copied))
        assert ours[0] == theirs[0] and len(ours[1]) == 2
        jax.tree.map(np.testing.assert_array_equal, *(pictures for _, pictures in (ours, theirs)))


def test_none_is_recorded_unless_asked_for(paa_workdir):
    assert not recording.folder_of(paa_workdir).exists()


def test_only_a_workdir_with_checkpoints_can_be_recorded(tmp_path):
    with pytest.raises(InputError, match="no checkpoint in"):
        record(tmp_path)


@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_the_same_pictures_are_recorded_by_batches_of_any_size(batch_size):
    """The first with objects, a crowd being none."""
    first, *others = DATASET.records
    crowded = SimpleNamespace(records=[first._replace(crowd=np.ones_like(first.crowd)), *others])
    plan = make_eval_plan(DATASET, LAD.data, batch_size=batch_size)
    assert [group.tolist() for group in plan_to_record(crowded, plan, 2).groups] == [[1, 2]]
    assert [group.tolist() for group in plan_to_record(DATASET, plan, 0).groups] == [[]]


def test_unknown_assigners_are_not_imported(paa_workdir, tmp_path, monkeypatch):
    options = replace(tiny(), assigner=AssignerOptions(name="antigravity:fly"))
    monkeypatch.setattr("lad_jax.run.record._options", lambda *_: options)
    with pytest.raises(InputError, match="antigravity:fly is from outside"):
        record(paa_workdir)


@pytest.mark.parametrize(("key", "lacks"), [("report", ""), ("debug", ""), ("seed", "seed")])
def test_checkpoints_from_before_an_option_that_may_change_are_read(key, lacks):
    meta = asdict(Meta(as_json(tiny()), ("cat",), (1,), "data", {}))
    del meta["config"][key]
    if lacks:
        with pytest.raises(InputError, match=f"its config lacks {lacks}"):
            Meta.from_json(meta, Path("x"))
    else:
        check_same_run(Meta.from_json(meta, Path("x")), Meta(as_json(tiny()), ("cat",), (1,), "data", {}), Path("x"))
