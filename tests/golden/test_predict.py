"""The reference's weights, converted and run on photographs: alone, and in a batch on a larger canvas.

Both ways must find the same: labels, scores to 1e-4, boxes to 0.01 pixel of the photograph.
"""

import json
import shutil

import numpy as np
import pytest

from lad_jax.commands.convert import into_workdir
from lad_jax.config import from_config, to_config
from lad_jax.options import RunOptions
from lad_jax.run.predict import predict
from lad_jax.weights import save_arrays
from tests.golden import network
from tests.golden.test_inference import assert_same_detections

PHOTOGRAPHS = 4


def options_of(model, batch_size):
    config = to_config(RunOptions(model=model))
    config.model.mask_padding = True
    config.data.short_side, config.data.long_side = 160, 256
    config.evaluation.batch_size = batch_size
    return from_config(RunOptions, config)


@pytest.fixture(scope="module")
def photographs(shared, tmp_path_factory):
    """A folder of photographs of different shapes."""
    folder, seen = tmp_path_factory.mktemp("photographs"), set()
    listed = json.loads((shared / "data/coco/annotations/instances_val2017.json").read_text())["images"]
    for image in listed:
        shape = (image["width"] > image["height"], round(image["width"] / image["height"], 1))
        if shape not in seen and len(seen) < PHOTOGRAPHS:
            seen.add(shape)
            shutil.copy(shared / "data/coco/val2017" / image["file_name"], folder)
    return folder


@pytest.mark.slow
def test_detections_of_converted_weights_do_not_depend_on_the_batch(golden, photographs, tmp_path):
    arrays = network.load(golden / "paa_r50.npz")
    model, _ = network.detector(arrays, "weights")
    classes = tmp_path / "classes.txt"
    classes.write_text("".join(f"class {i}\n" for i in range(model.n_classes)))
    names = tuple(classes.read_text().splitlines())
    save_arrays(tmp_path / "w.npz", network.group(arrays, "weights"), names)
    into_workdir(tmp_path / "w.npz", options_of(model.options, 1), tmp_path / "run", str(classes))

    found = {}
    for batch_size in (1, PHOTOGRAPHS):
        predict(options_of(model.options, batch_size), tmp_path / "run", [str(photographs)], tmp_path / str(batch_size))
        found[batch_size] = json.loads((tmp_path / str(batch_size) / "predictions.json").read_text())
    assert len(found[1]) == PHOTOGRAPHS
    for alone, together in zip(found[1], found[PHOTOGRAPHS], strict=True):
        assert alone["file"] == together["file"]
        assert len(alone["detections"]) == len(together["detections"]) > 0
        assert_same_detections(as_arrays(alone), as_arrays(together))


def as_arrays(prediction):
    """Boxes, scores and labels."""
    rows = prediction["detections"]
    return [np.array([row[key] for row in rows]) for key in ("bbox", "score", "category_id")]
