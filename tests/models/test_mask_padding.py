"""A picture's predictions depend neither on how far its canvas is padded nor on its neighbours in the batch."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.evaluation.detector import finish
from lad_jax.evaluation.postprocess import PostprocessOptions
from lad_jax.models import Detector
from lad_jax.priors import make_levels
from lad_jax.rounding import round_up
from lad_jax.train.state import init_variables
from tests.networks import BACKBONES, N_CLASSES, batch_of, of_family
from tests.reference.example import NO_OBJECTS, truth_of

CHANGES = {
    "basic": {"objectness": "implicit", "iou_branch": False},
    "caffe": {"objectness": "conditional"},
    "swin": {"backbone": replace(BACKBONES["swin"], window=7)},
    "dcn": {"extra_levels": "input"},
}
"""What the network of each family has besides; Swin's windows divide none of the maps."""
SIZES, CANVAS = [(50, 70), (96, 128), (64, 96)], (160, 192)


def variables_of(model):
    """Random, the statistics of batch norms and all biases too: what is zero would hide what leaks."""
    leaves, tree = jax.tree.flatten(init_variables(model, 0))
    rng = np.random.default_rng(0)
    noisy = [x + jnp.asarray(0.05 * rng.standard_normal(x.shape), x.dtype) for x in leaves]
    return jax.tree.unflatten(tree, noisy)


def pictures():
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (*hw, 3), np.uint8) for hw in SIZES]


def on_canvas(images, canvas):
    """A batch of the pictures, whose padding is not 0."""
    rows = np.full((len(images), *canvas, 3), 200, np.uint8)
    for row, image in zip(rows, images, strict=True):
        row[: image.shape[0], : image.shape[1]] = image
    return batch_of(rows, truth_of([NO_OBJECTS] * len(images)), [image.shape[:2] for image in images])


def tight(hw):
    return tuple(round_up(side, 32) for side in hw)


def corner(values, canvas, smaller, strides):
    """Of the values at a canvas's priors, those at the priors of a smaller canvas in its corner."""
    parts, start = [], 0
    for (h, w), (rows, columns) in zip(
        make_levels(canvas, strides).shapes, make_levels(smaller, strides).shapes, strict=True
    ):
        level = np.asarray(values[start : start + h * w]).reshape(h, w, -1)
        parts.append(level[:rows, :columns].reshape(rows * columns, -1))
        start += h * w
    return np.concatenate(parts)


@pytest.fixture(scope="module", params=sorted(CHANGES))
def case(request):
    """The model, and the predictions of all pictures together, and of each on the canvas that fits it.

    The latter without the option: where there is no padding, nothing needs to be masked.
    """
    model = Detector(of_family(request.param, n_levels=5, tower_convs=2, **CHANGES[request.param]), N_CLASSES)
    variables = variables_of(model)
    masked, plain = (
        jax.jit(Detector(replace(model.options, mask_padding=option), N_CLASSES).apply) for option in (True, False)
    )
    batch, *single = [on_canvas(pictures(), CANVAS), *(on_canvas([p], tight(p.shape[:2])) for p in pictures())]
    together = masked(variables, batch.pictures.images, batch.pictures.image_hw)
    alone = [(one, plain(variables, one.pictures.images, one.pictures.image_hw)) for one in single]
    return model.options, variables, (batch, together), alone


def test_predictions_are_those_of_a_canvas_that_fits(case):
    options, _, (_, together), alone = case
    for i, (one, predictions) in enumerate(alone):
        for name in ("class_log_p", "class_log_not_p", "box_deltas", "quality_logit"):
            if getattr(predictions, name) is None:
                assert not options.iou_branch and name == "quality_logit"
                continue
            ours = corner(getattr(together, name)[i], CANVAS, one.canvas, options.strides)
            expected = np.asarray(getattr(predictions, name)[0]).reshape(ours.shape)
            np.testing.assert_allclose(ours, expected, rtol=2e-4, atol=2e-5 * np.abs(expected).max(), err_msg=name)


def test_without_the_option_they_are_not(case):
    """As in the references; so the test above says something."""
    options, variables, (batch, _), [(one, fitting), *_] = case
    apply = jax.jit(Detector(replace(options, mask_padding=False), N_CLASSES).apply)
    together = apply(variables, batch.pictures.images, batch.pictures.image_hw).box_deltas[0]
    ours, expected = corner(together, CANVAS, one.canvas, options.strides), np.asarray(fitting.box_deltas[0])
    assert np.abs(ours - expected).max() > 1e-2 * np.abs(expected).max()


def test_detections_are_the_same(case):
    options, _, (batch, together), alone = case
    post = PostprocessOptions(score_threshold=0.0, max_detections=20)
    detect = jax.jit(lambda predictions, pictures: finish(predictions, pictures, options, post))
    found = detect(together, batch.pictures)
    for i, (one, predictions) in enumerate(alone):
        expected = detect(predictions, one.pictures)
        np.testing.assert_array_equal(found.classes[i], expected.classes[0])
        np.testing.assert_allclose(found.scores[i], expected.scores[0], rtol=1e-4)
        np.testing.assert_allclose(found.boxes[i], expected.boxes[0], atol=0.01)


def test_a_picture_that_could_not_be_read_breaks_nothing(case):
    options, variables, (batch, together), _ = case
    hw = batch.pictures.image_hw.at[1].set(0)
    predictions = jax.jit(Detector(options, N_CLASSES).apply)(variables, batch.pictures.images, hw)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(predictions))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[::2], b[::2]), predictions, together)
