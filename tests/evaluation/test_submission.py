"""Detections on test-dev, as COCO's server takes them."""

import contextlib
import io
import json
import zipfile
from dataclasses import replace

import pytest
from pycocotools.coco import COCO

from lad_jax.data import FolderOptions, open_dataset
from lad_jax.errors import InputError
from lad_jax.models import Detector
from lad_jax.run import saving
from lad_jax.run.evaluate import evaluate
from lad_jax.run.meta import Meta, as_json
from lad_jax.train.state import init_variables
from tests.run.tiny import tiny


@pytest.fixture
def options(shared, tmp_path):
    """COCO's validation pictures, as such and, without their annotations, as test pictures."""
    val = shared / "data/coco/annotations/instances_val2017.json"
    content = json.loads(val.read_text())
    del content["annotations"]
    (tmp_path / "image_info_test-dev2017.json").write_text(json.dumps(content))
    options = tiny(data__source="coco", data__short_side=64, data__canvases=1)
    images = str(shared / "data/coco/val2017")
    data = replace(
        options.data,
        val=FolderOptions(images, str(val)),
        test=FolderOptions(images, str(tmp_path / "image_info_test-dev2017.json")),
    )
    return replace(options, data=data)


def test_submission(options, tmp_path, capsys):
    """What the server's own tool reads, equal to what an evaluation of the same pictures writes."""
    dataset, workdir = open_dataset(options.data, "val"), tmp_path / "my run"
    meta = Meta(as_json(options), dataset.class_names, dataset.category_ids, "", {})
    saving.save_weights(workdir, {"student": init_variables(Detector(options.model, 80), 0)}, meta)
    test_dev = replace(options, evaluation=replace(options.evaluation, split="test-dev"))
    evaluate(test_dev, workdir)

    stem = "detections_test-dev2017_my run_results"
    assert f"{workdir / stem}.zip\nUpload this file at https://cocodataset.org/#upload" in capsys.readouterr().out
    assert {file.name for file in workdir.iterdir()} == {"checkpoints", f"{stem}.json", f"{stem}.zip"}
    with zipfile.ZipFile(workdir / f"{stem}.zip") as archive:
        [inside] = archive.infolist()
        assert inside.filename == f"{stem}.json"
        assert archive.read(inside) == (workdir / f"{stem}.json").read_bytes()
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(options.data.test.annotations)
        results = truth.loadRes(str(workdir / f"{stem}.json"))
    assert set(results.getImgIds()) == set(truth.imgs) and len(truth.imgs) == 41
    found = {a["category_id"] for a in results.dataset["annotations"]}
    assert found and found <= set(truth.cats) and max(truth.cats) == 90

    evaluate(options, workdir)
    submitted, evaluated = (json.loads((workdir / name).read_text()) for name in (f"{stem}.json", "detections.json"))
    assert submitted == evaluated
    assert {result["image_id"] for result in submitted} == set(truth.imgs)

    with pytest.raises(InputError, match=r"'synthetic', which has no test-dev"):
        evaluate(replace(test_dev, data=replace(options.data, source="synthetic")), workdir)
