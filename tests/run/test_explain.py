"""One picture explained from Python: its assignment is the one of a training step, its costs those of the networks."""

import re
from dataclasses import replace

import jax
import numpy as np
import pytest

import lad_jax
from lad_jax.assign import Assigner, AssignerOptions, make_assigner
from lad_jax.assign.max_iou import MaxIoUOptions
from lad_jax.data import eval_batches, make_eval_plan, open_dataset
from lad_jax.distill import METHODS, SwitchOptions, assign_batch
from lad_jax.errors import InputError
from lad_jax.priors import make_priors, within
from lad_jax.run import checkpoint
from lad_jax.run.meta import Meta, as_json
from lad_jax.run.saving import save_weights
from lad_jax.types import Scene
from tests.networks import varied
from tests.run.tiny import tiny

POSITION = 1


@pytest.fixture(scope="module")
def student(paa_workdir):
    return lad_jax.load(paa_workdir)


@pytest.fixture(scope="module")
def lad_workdir(paa_workdir, student, tmp_path_factory):
    """A LAD run of another student, whose teacher is the finished PAA run."""
    workdir = tmp_path_factory.mktemp("lad")
    teacher = {"path": str(paa_workdir), "digest": checkpoint.digest(student.variables)}
    options = tiny(method="lad", teacher__path=str(paa_workdir))
    meta = Meta(as_json(options), student.class_names, student.category_ids, "", teacher)
    save_weights(workdir, {"student": varied(student.model, 3)}, meta)
    return workdir


@pytest.fixture(scope="module")
def batch():
    data = tiny().data
    dataset = open_dataset(data, "val")
    return next(iter(eval_batches(dataset, make_eval_plan(dataset, data, batch_size=4), data)))


def of_the_picture(batch):
    """Pixels of a validation picture, its boxes and labels."""
    real = batch.truth.mask[POSITION]
    return batch.pictures.images[POSITION], batch.truth.boxes[POSITION][real], batch.truth.labels[POSITION][real]


def assigned(networks, batch, method):
    """The assignment of the batch by a training step's function, and the picture's row of it."""
    options = networks["student"].options
    canvas = make_priors(batch.canvas, options.model.strides, options.model.anchor_scale)
    priors = jax.vmap(lambda hw: within(canvas, hw))(batch.pictures.image_hw)
    scene = Scene(priors, batch.truth, batch.pictures.image_hw, np.ones(len(batch.valid), np.float32))
    images, image_hw, _ = batch.pictures
    predictions = {n: jax.jit(t.model.apply)(t.variables, images, image_hw) for n, t in networks.items()}
    functions = {"assigner": make_assigner(AssignerOptions()), "switch": SwitchOptions()}
    whole = jax.jit(lambda p, s: assign_batch(p, s, method=METHODS[method], **functions))(predictions, scene)
    return jax.tree.map(lambda x: np.asarray(x)[POSITION], whole.assignment)


def test_a_teacher_assigns_and_both_networks_costs_are_there(lad_workdir, student, batch):
    explained = lad_jax.explain(lad_jax.load(lad_workdir), *of_the_picture(batch))
    expected = assigned({"student": lad_jax.load(lad_workdir), "teacher": student}, batch, "lad")
    assert explained.costs_from == ("teacher",) and set(explained.costs) == {"student", "teacher"}
    np.testing.assert_array_equal(explained.assignment.object, expected.object)
    np.testing.assert_array_equal(explained.assignment.target, expected.target)
    candidate = explained.object >= 0
    assert (expected.object >= 0).any() and (np.isfinite(explained.costs["student"]) == candidate).all()
    assert abs(explained.costs["student"] - explained.costs["teacher"])[candidate].max() > 0.01
    n = len(explained.truth.labels)
    assert explained.objects["means"].shape == (n, 2) and explained.priors.boxes.shape == (len(candidate), 4)
    alone = lad_jax.explain(student, *of_the_picture(batch))
    np.testing.assert_allclose(alone.costs["student"][candidate], explained.costs["teacher"][candidate], rtol=1e-5)


def test_a_teacher_can_be_given(lad_workdir, student, batch):
    detector = lad_jax.load(lad_workdir)
    moved = replace(detector, options=replace(detector.options, teacher=replace(detector.options.teacher, path="")))
    with pytest.raises(InputError, match="teacher=…"):
        lad_jax.explain(moved, *of_the_picture(batch))
    other = replace(student, model=student.model.clone(dtype="bfloat16"))
    given = lad_jax.explain(moved, *of_the_picture(batch), teacher=other)  # in the run's precision, as in its training
    found = lad_jax.explain(detector, *of_the_picture(batch))
    np.testing.assert_array_equal(given.costs["teacher"], found.costs["teacher"])
    with pytest.raises(InputError, match="other classes"):
        lad_jax.explain(moved, *of_the_picture(batch), teacher=replace(student, class_names=("a", "b", "c")))


def test_boxes_are_in_pixels_of_the_picture(student, batch):
    image, boxes, labels = of_the_picture(batch)
    half = image[::2, ::2]
    explained = lad_jax.explain(student, np.ascontiguousarray(half), boxes / 2, labels)
    assert explained.scale.tolist() == [2, 2] and explained.image.shape == image.shape
    np.testing.assert_allclose(explained.truth.boxes, boxes, rtol=1e-5)


def test_a_picture_without_objects_has_no_positives(student, batch):
    explained = lad_jax.explain(student, of_the_picture(batch)[0], [], [])
    assert (explained.assignment.object < 0).all() and explained.objects["means"].shape == (0, 2)


@pytest.mark.parametrize(
    ("boxes", "labels", "message"),
    [
        ([[1, 1, 9, 9]], [0, 1], "1 boxes, but 2 labels"),
        ([[1, 1, 9, 9], [9, 1, 1, 9]], [0, 1], "boxes[1] is [9.0, 1.0, 1.0, 9.0]"),
        ([[200, 1, 300, 9]], [0], "boxes[0] is"),
        ([[1, 1, float("nan"), 9]], [0], "boxes[0] is"),
        ([[1, 1, 9]], [0], "[n, 4]"),
        ([[1, 1, 9, 9]], [7], "labels[0] is 7, but the classes are 0 to"),
    ],
)
def test_objects_that_are_none(student, batch, boxes, labels, message):
    with pytest.raises(InputError, match=re.escape(message)):
        lad_jax.explain(student, of_the_picture(batch)[0], boxes, labels)


def test_an_assigner_from_outside_is_not_imported(student, batch):
    options = replace(student.options, assigner=AssignerOptions(name="antigravity:fly"))
    outside = replace(student, options=options)
    with pytest.raises(InputError, match="antigravity:fly is from outside"):
        lad_jax.explain(outside, *of_the_picture(batch))
    given = lad_jax.explain(outside, *of_the_picture(batch), assigner=make_assigner(AssignerOptions(name="max_iou")))
    assert given.objects == {} and (given.assignment.object >= 0).any()


def test_the_function_that_makes_an_assigner_gets_the_options_of_the_run(student, batch):
    """Of `max_iou`, so that an object has the more positives the less an IoU has to be."""

    def make(options: MaxIoUOptions) -> Assigner:
        return make_assigner(AssignerOptions(name="max_iou", max_iou=options))

    n_positives = []
    for least in (0.2, 0.9):
        chosen = AssignerOptions(name="elsewhere:make", options={"positive_iou": least, "negative_iou": 0.1})
        outside = replace(student, options=replace(student.options, assigner=chosen))
        found = lad_jax.explain(outside, *of_the_picture(batch), assigner=make)
        n_positives.append((found.assignment.object >= 0).sum())
    assert n_positives[0] > n_positives[1] > 0
    with pytest.raises(InputError, match="neither a function that makes an assigner nor an assigner"):
        lad_jax.explain(student, *of_the_picture(batch), assigner="max_iou")


def test_an_exported_detector_has_no_costs(batch):
    with pytest.raises(InputError, match="load the run"):
        lad_jax.explain(object(), *of_the_picture(batch))
