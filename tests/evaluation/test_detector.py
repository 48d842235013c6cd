"""From batches to COCO results: which pictures count, whose ids they carry, and in which frame."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.evaluation.coco import evaluate
from lad_jax.evaluation.detector import detect, make_detector
from lad_jax.evaluation.postprocess import PostprocessOptions
from lad_jax.mesh import MeshOptions, make_mesh
from lad_jax.models import Detector, ModelOptions
from lad_jax.types import Batch, Pictures, Predictions
from tests.reference.example import NO_OBJECTS, truth_of

CANVAS = (32, 48)
MODEL = ModelOptions(first_level=4, n_levels=2, anchor_scale=1.0)
"""Of 2·3 + 1·2 priors."""
IDS = (900_000_000_001, 5, 77, 4)
DATASET = SimpleNamespace(
    records=[SimpleNamespace(id=i) for i in IDS],
    class_names=("a", "b"),
    category_ids=(11, 90),
    doubts=(),
    read=lambda position: None,
    orientation=lambda position: 1,
    ground_truth=lambda: {},
)
MESH = make_mesh(MeshOptions(data=1), {})


class Reader(Detector):
    """A network that reads the answer off the picture: pixel (0, k) holds box number k's (x, y, class).

    Boxes are 10 wide and 8 high; of the 8 priors, the first two of class and place given detect, the rest do not.
    """

    def __call__(self, images, image_hw):
        written = images[:, 0, :8].astype(jnp.float32)
        corner = written[..., :2]
        seen = jnp.arange(8) < 2
        said = seen[None, :, None] & (written[..., 2:] == jnp.arange(2.0)[None, None])
        p = jnp.where(said, self.get_variable("params", "p"), 1e-6)
        return Predictions(
            class_log_p=jnp.log(p),
            class_log_not_p=jnp.log1p(-p),
            box_deltas=jnp.zeros((*p.shape[:2], 4)),
            boxes=jnp.concatenate([corner, corner + jnp.array([10.0, 8.0])[None, None]], axis=-1),
            quality_logit=jnp.full(p.shape[:2], 20.0),
        )


def batch(rows, valid, told, scale=(1.0, 1.0)):
    count = len(rows)
    images = np.zeros((count, *CANVAS, 3), np.uint8)
    images[:, 0, :2] = told
    return Batch(
        pictures=Pictures(
            images=images,
            image_hw=np.tile(np.array(CANVAS, np.int32), (count, 1)),
            scale=np.tile(np.array(scale, np.float32), (count, 1)),
        ),
        truth=truth_of([NO_OBJECTS] * count),
        position=np.array(rows, np.int32),
        valid=np.array(valid),
    )


TWO = [[2, 4, 0], [30, 20, 1]]
"""A box of each class."""
EXPECTED = [(11, [2, 4, 10, 8]), (90, [30, 20, 10, 8])]


@pytest.fixture(scope="module")
def detector():
    return make_detector(Reader(MODEL, 2), PostprocessOptions(max_detections=5), MESH)


def run(detector, batches):
    return detect(detector, {"params": {"p": jnp.float32(0.81)}}, DATASET, iter(batches), MESH)


def test_every_picture_once_with_original_ids(detector, caplog):
    """Padding rows and unreadable pictures give nothing; the second is named."""
    batches = [batch([3, 0], [True, True], [TWO, TWO]), batch([1, 2, -1], [True, False, False], [TWO] * 3)]
    results = run(detector, batches)
    expected = [(IDS[i], category, box) for i in (3, 0, 1) for category, box in EXPECTED]
    assert [(r["image_id"], r["category_id"], r["bbox"]) for r in results] == expected
    assert all(type(r["score"]) is float and r["score"] == pytest.approx(0.9, abs=1e-5) for r in results)
    assert len(caplog.messages) == 1 and "id 77 " in caplog.messages[0]


def test_boxes_return_to_the_original_picture(detector):
    results = run(detector, [batch([0], [True], [TWO], scale=(2.0, 0.5))])
    assert [r["bbox"] for r in results] == [[1, 8, 5, 16], [15, 40, 5, 16]]


def test_no_batches(detector):
    assert run(detector, []) == []


def test_results_evaluate_to_one_and_padding_changes_nothing(detector):
    truth = {
        "images": [{"id": i} for i in IDS],
        "categories": [{"id": 11}, {"id": 90}],
        "annotations": [{"image_id": i, "category_id": c, "bbox": box} for i in IDS for c, box in EXPECTED],
    }
    plain = run(detector, [batch([0, 1, 2, 3], [True] * 4, [TWO] * 4)])
    padded = run(detector, [batch([i, -1], [True, False], [TWO] * 2) for i in range(4)])
    assert plain == padded
    assert evaluate(truth, plain, ("a", "b"), (11, 90)).overall["AP"] == pytest.approx(1.0)
