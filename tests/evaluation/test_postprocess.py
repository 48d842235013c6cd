"""From predictions to detections: the synthetic case of the specification, thresholds, frames."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.boxes import decode
from lad_jax.config import from_config
from lad_jax.errors import InputError
from lad_jax.evaluation.postprocess import PostprocessOptions, postprocess
from lad_jax.priors import make_levels, make_priors
from lad_jax.types import Predictions

CANVAS, STRIDES = (128, 160), (8, 16, 32, 64, 128)
SIZES = make_levels(CANVAS, STRIDES).sizes
ONE = jnp.ones(2)
compiled = jax.jit(postprocess, static_argnames=("level_sizes", "options"))


def run(predictions, hw, scale, **options):
    """With every prior valid."""
    return compiled(predictions, jnp.ones(len(predictions.boxes), bool), hw, scale, **options)


def synthetic(image):
    """Predictions by formula (spec 12.3, student)."""
    a = np.arange(sum(SIZES), dtype=np.float64)[:, None]
    logits = jnp.float32(-3 + 1.5 * np.sin(0.7 * a + 1.3 * np.arange(3) + 0.9 * image))
    deltas = jnp.float32(0.3 * np.cos(0.9 * a + 0.5 * np.arange(4) + 0.4 * image))
    return Predictions(
        class_log_p=jax.nn.log_sigmoid(logits),
        class_log_not_p=jax.nn.log_sigmoid(-logits),
        box_deltas=deltas,
        boxes=decode(jnp.asarray(make_priors(CANVAS, STRIDES, 8.0).boxes), deltas),
        quality_logit=jnp.float32(0.4 * np.sin(0.11 * a[:, 0] + image)),
    )


@pytest.mark.parametrize(
    ("image", "hw", "scale", "per_class", "coordinates", "score_sum", "top_score", "top_class", "top_box"),
    [
        (0, (128, 160), 1.0, (34, 35, 31), 27490.134, 30.52973, 0.330150, 2, (22.80464, 39.50814, 90.24824, 107.12697)),
        (0, (128, 160), 1.25, (34, 35, 31), 21992.108, 30.52973, 0.330150, 2, (18.24371, 31.60651, 72.19858, 85.70158)),
        (1, (90, 125), 1.0, (35, 32, 33), 25303.774, 30.52365, 0.330240, 1, (0.03257, 0.02806, 51.57066, 58.57703)),
    ],
)
def test_synthetic_case(image, hw, scale, per_class, coordinates, score_sum, top_score, top_class, top_box):
    found = run(synthetic(image), jnp.array(hw), jnp.full(2, scale), level_sizes=SIZES, options=PostprocessOptions())
    assert found.valid.all()
    assert tuple(np.bincount(found.classes, minlength=3)) == per_class
    np.testing.assert_allclose(found.boxes.sum(), coordinates, rtol=1e-5)
    np.testing.assert_allclose(found.scores.sum(), score_sum, rtol=1e-5)
    np.testing.assert_allclose(found.scores[0], top_score, rtol=1e-5)
    assert found.classes[0] == top_class
    np.testing.assert_allclose(found.boxes[0], top_box, atol=1e-3)
    assert (np.diff(found.scores) <= 0).all()


def test_without_an_iou_branch_the_score_is_the_probability():
    predictions = far_apart([0.2, 0.04, 0.72])._replace(quality_logit=None)
    found = run(predictions, jnp.array([99, 99]), ONE, level_sizes=(3,), options=PostprocessOptions(max_detections=3))
    np.testing.assert_allclose(found.scores, [0.72, 0.2, 0], rtol=1e-5)


def test_priors_that_are_not_valid_do_not_detect():
    valid = jnp.array([True, False, True])
    options = PostprocessOptions(max_detections=3, pre_nms=2)
    found = compiled(far_apart([0.3, 0.9, 0.6]), valid, jnp.array([99, 99]), ONE, level_sizes=(3,), options=options)
    np.testing.assert_allclose(found.scores, np.sqrt([0.6, 0.3, 0]), rtol=1e-5)


@pytest.mark.parametrize("voting", [False, True])
@pytest.mark.parametrize("coordinate", [0, 2])
def test_a_box_that_is_no_number_detects_nothing_and_has_no_vote(voting, coordinate):
    predictions = far_apart([0.3, 0.9, 0.6])
    broken = predictions._replace(boxes=predictions.boxes.at[1, coordinate].set(jnp.nan))
    options = PostprocessOptions(max_detections=3, voting=voting)
    found = run(broken, jnp.array([99, 99]), ONE, level_sizes=(3,), options=options)
    np.testing.assert_allclose(found.scores, np.sqrt([0.6, 0.3, 0]), rtol=1e-5)
    np.testing.assert_allclose(found.boxes, [[40, 0, 50, 10], [0, 0, 10, 10], [0, 0, 0, 0]], atol=1e-4)


def far_apart(scores, quality=1.0):
    """One prior per score, of one class, on boxes that do not touch."""
    p = jnp.asarray(scores, jnp.float32)
    x = 20 * jnp.arange(len(p), dtype=p.dtype)
    return Predictions(
        class_log_p=jnp.log(p)[:, None],
        class_log_not_p=jnp.log1p(-p)[:, None],
        box_deltas=jnp.zeros((len(p), 4)),
        boxes=jnp.stack([x, 0 * x, x + 10, 0 * x + 10], axis=1),
        quality_logit=jnp.full(len(p), jnp.log(quality) - jnp.log1p(-jnp.float32(quality))),
    )


def test_score_is_the_root_of_the_product():
    options = PostprocessOptions(score_threshold=0.5)
    found = run(far_apart([0.2, 0.4, 0.72], 0.9), jnp.array([99, 99]), ONE, level_sizes=(3,), options=options)
    np.testing.assert_allclose(found.scores[:3], [np.sqrt(0.72 * 0.9), np.sqrt(0.4 * 0.9), 0], rtol=1e-5)
    assert found.valid.sum() == 2


@pytest.mark.parametrize(("threshold", "count"), [(0.999, 1), (1.0, 0)])
def test_threshold_is_strict(threshold, count):
    certain = far_apart([1.0])._replace(quality_logit=jnp.array([99.0]))
    options = PostprocessOptions(score_threshold=threshold)
    found = run(certain, jnp.array([99, 99]), ONE, level_sizes=(1,), options=options)
    assert found.valid.sum() == count


def test_each_level_keeps_its_own_best():
    """The best of the second level survive although all of the first score higher."""
    predictions = far_apart([0.9, 0.8, 0.85, 0.2, 0.3, 0.1], 0.999)
    options = PostprocessOptions(pre_nms=2)
    found = run(predictions, jnp.array([99, 999]), ONE, level_sizes=(3, 3), options=options)
    assert found.boxes[found.valid][:, 0].tolist() == [0.0, 40.0, 80.0, 60.0]


def test_boxes_are_clipped_to_the_content_then_taken_to_the_original():
    predictions = far_apart([0.9], 0.9)._replace(boxes=jnp.array([[-20.0, 10.0, 300.0, 400.0]]))
    scale = jnp.array([0.5, 2.0])
    found = run(predictions, jnp.array([80, 120]), scale, level_sizes=(1,), options=PostprocessOptions())
    np.testing.assert_allclose(found.boxes[0], [0.0, 5.0, 240.0, 40.0], rtol=1e-6)


def test_no_detection_is_all_zero():
    found = run(far_apart([1e-4, 1e-30]), jnp.array([99, 99]), ONE, level_sizes=(2,), options=PostprocessOptions())
    assert not found.valid.any() and (found.boxes == 0).all() and (found.classes == -1).all()


def test_untrained_network_gives_finite_boxes_in_the_image():
    """All priors pass the threshold, some boxes are clipped to nothing: the full number, and no NaN from voting."""
    sizes = make_levels((256, 256), STRIDES).sizes
    count = sum(sizes)
    log_p = jnp.full((count, 80), jnp.log(0.01)) + 1e-3 * jax.random.normal(jax.random.key(0), (count, 80))
    priors = jnp.asarray(make_priors((256, 256), STRIDES, 8.0).boxes)
    predictions = Predictions(log_p, jnp.log1p(-jnp.exp(log_p)), jnp.zeros((count, 4)), priors, jnp.zeros(count))
    found = run(predictions, jnp.array([100, 120]), ONE, level_sizes=sizes, options=PostprocessOptions())
    assert found.valid.all()
    assert (found.boxes >= 0).all() and (found.boxes <= jnp.array([[120.0, 100.0, 120.0, 100.0]]) + 1e-3).all()


def test_levels_that_do_not_fit_the_predictions():
    with pytest.raises(ValueError, match="do not add up"):
        run(far_apart([0.9]), jnp.array([9, 9]), ONE, level_sizes=(1, 1), options=PostprocessOptions())


@pytest.mark.parametrize(("kept", "counted"), [(20, 100), (100, 100), (300, 300)])
def test_metrics_count_what_is_kept_and_at_least_cocos_hundred(kept, counted):
    assert PostprocessOptions(max_detections=kept).counted == counted


@pytest.mark.parametrize("key", ["pre_nms", "max_detections", "score_threshold", "nms_iou"])
def test_bad_options_are_named(key):
    with pytest.raises(InputError, match=key):
        from_config(PostprocessOptions, {key: -1})
