"""A trained network called from Python: the same detections as by evaluation and by the command, and clear errors."""

import json
import shutil
import sys
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

import lad_jax
from lad_jax.data import open_dataset
from lad_jax.errors import InputError
from lad_jax.evaluation.evaluator import EvaluationOptions
from lad_jax.evaluation.postprocess import PostprocessOptions
from lad_jax.run.evaluate import evaluate
from lad_jax.run.pictures import pictures_of
from lad_jax.run.predict import predict
from lad_jax.run.result import Result
from tests.run.tiny import tiny


@pytest.fixture(scope="module")
def trained(paa_workdir):
    return lad_jax.load(paa_workdir)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Validation pictures as files, the last turned into another shape."""
    folder, dataset = tmp_path_factory.mktemp("pictures"), open_dataset(tiny().data, "val")
    pictures = [dataset.read(position) for position in range(4)]
    pictures[3] = cv2.resize(pictures[3], (150, 96))
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number}.png"), picture[:, :, ::-1])
    return [folder / f"{number}.png" for number in range(len(pictures))]


def pixels(file):
    return np.asarray(Image.open(file))


def assert_close(ours, expected):
    assert len(ours) == len(expected) > 0
    np.testing.assert_array_equal(ours.labels, expected.labels)
    np.testing.assert_allclose(ours.scores, expected.scores, atol=1e-6)
    np.testing.assert_allclose(ours.boxes, expected.boxes, atol=1e-3)


def test_detections_are_those_of_the_evaluation(paa_workdir, tmp_path):
    """In pixels of the validation pictures, which are enlarged for the network."""
    workdir = shutil.copytree(paa_workdir, tmp_path / "run")
    options = tiny(data__short_side=128, data__long_side=160)
    evaluate(options, workdir)
    expected = json.loads((workdir / "detections.json").read_text())
    dataset, detector = open_dataset(options.data, "val"), replace(lad_jax.load(workdir), options=options)
    results = detector([dataset.read(position) for position in range(len(dataset.records))])
    for record, result in zip(dataset.records, results, strict=True):
        theirs = [entry for entry in expected if entry["image_id"] == record.id]
        assert len(result) == len(theirs) > 0
        assert [entry["category_id"] for entry in theirs] == result.category_ids.tolist()
        np.testing.assert_allclose([entry["score"] for entry in theirs], result.scores, atol=2e-6)
        corners = np.array([entry["bbox"] for entry in theirs])
        corners[:, 2:] += corners[:, :2]
        np.testing.assert_allclose(corners, result.boxes, atol=2e-3)
        assert result.boxes.min() >= -1e-3, "voting takes means, which round"
        assert (result.boxes.max(axis=0) <= np.array([record.width, record.height] * 2) + 1e-3).all()
        assert result.boxes.max() > 48, "in pixels of the picture, not less"


def test_predict_writes_what_a_call_gives(paa_workdir, trained, files, tmp_path):
    predict(tiny(), paa_workdir, [str(files[0].parent)], tmp_path)
    written = json.loads((tmp_path / "predictions.json").read_text())
    assert [entry["file"] for entry in written] == list(map(str, files))
    for entry, result in zip(written, trained(files), strict=True):
        named = zip(result.to_coco(), result.names.tolist(), strict=True)
        assert entry["detections"] == [{**detection, "name": name} for detection, name in named]


def test_a_picture_does_not_depend_on_its_batch(trained, files):
    """Nor on how it is given: alone, in a list, as a file, as an array or as one of an array of them."""
    alone = trained(pixels(files[0]))
    assert_close(trained(str(files[0])), alone)
    same = [pixels(file) for file in files[:3]]
    for results in (trained(same), trained(files[:3]), trained(np.stack(same)), trained(tuple(same), batch_size=2)):
        assert isinstance(results, list) and len(results) == 3
        assert_close(results[0], alone)
    assert abs(results[1].scores[0] - alone.scores[0]) > 1e-4, "the pictures differ"
    assert trained([]) == []


def test_result(trained, files):
    result = trained(files[0])
    assert isinstance(result, Result) and (np.diff(result.scores) <= 0).all()
    assert result.names.tolist() == [trained.class_names[label] for label in result.labels]
    assert result.category_ids.tolist() == [trained.category_ids[label] for label in result.labels]
    middle = float(result.scores[len(result) // 2])
    best = result.best(middle)
    assert 0 < len(best) < len(result) and best.scores.min() >= middle
    for entry, box, score in zip(best.to_coco(), best.boxes, best.scores, strict=True):
        assert entry["bbox"] == pytest.approx([*box[:2], *(box[2:] - box[:2])], abs=1e-3)
        assert entry["score"] == pytest.approx(score, abs=1e-6)
    json.dumps(best.to_coco())


def test_postprocessing_can_be_others(trained, files):
    few = trained(files[0], postprocess=PostprocessOptions(max_detections=3))
    assert len(few) == 3
    options = replace(trained.options, evaluation=EvaluationOptions(postprocess=PostprocessOptions(max_detections=3)))
    assert_close(replace(trained, options=options)(files[0]), few)
    none = trained(files[0], postprocess=PostprocessOptions(score_threshold=1.0))
    assert len(none) == 0 and none.to_coco() == [] and none.boxes.shape == (0, 4)


def test_what_is_asked_for_is_chosen_from_the_same_detections(trained, files):
    whole = trained(files[0])
    middle = float(whole.scores[len(whole) // 2])
    assert_close(trained(files[0], threshold=middle), whole.best(middle))
    assert_close(trained(files[:1], max_detections=2)[0], whole.best(at_most=2))
    assert_close(trained(files[0], threshold=middle, max_detections=1), whole.best(middle, 1))
    lower = trained(files[0], threshold=0.0, max_detections=len(whole) + 200)
    assert len(whole) < len(lower) and lower.scores.min() < whole.scores.min(), (
        "more than the run's options let through"
    )


def test_pillows_pictures(trained, files):
    """Upright, and without alpha; of other than 8 bits a channel none."""
    picture = Image.open(files[0])
    expected = trained(files[0])
    assert_close(trained(picture), expected)
    assert_close(trained([picture])[0], expected)
    see_through = picture.convert("RGBA")
    see_through.putalpha(9)
    assert_close(trained(see_through), expected)
    turned = picture.transpose(Image.Transpose.ROTATE_90)
    turned.getexif()[0x0112] = 6  # to be turned by 270 degrees to the left
    assert_close(trained(turned), expected)


def test_as_supervision_takes_them(trained, files, monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    result = trained(files[0])
    with pytest.raises(InputError, match="pip install supervision"):
        result.to_supervision()
    monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(Detections=lambda *xyxy, **rest: (xyxy, rest)))
    (boxes,), rest = result.to_supervision()
    assert boxes is result.boxes and rest["class_id"] is result.labels and rest["confidence"] is result.scores
    assert rest["data"]["class_name"] is result.names


def test_pictures_on_a_canvas():
    images = [np.full((40, 100, 3), 10, np.uint8), np.full((30, 30, 3), 20, np.uint8)]
    images, hw, scale = pictures_of(images, 3, (64, 128), short_side=60, long_side=120)
    np.testing.assert_array_equal(hw, [[48, 120], [60, 60], [1, 1]])
    np.testing.assert_allclose(scale, [[1.2, 1.2], [2, 2], [1, 1]])
    assert images.shape == (3, 64, 128, 3) and images.dtype == np.uint8
    for image, (height, width), value in zip(images, hw, (10, 20, 0), strict=True):
        assert (image[:height, :width] == value).all()
        assert image.astype(int).sum() == 3 * value * height * width, "all else is padding"


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((8, 8, 3)), r"uint8.* are float64.*astype\(numpy.uint8\)"),
        (np.zeros((8, 8), np.uint8), r"has \[8, 8\]: repeat gray"),
        (np.zeros((8, 8, 4), np.uint8), r"has \[8, 8, 4\].*drop alpha"),
        (np.zeros((3, 8, 8), np.uint8), r"has \[3, 8, 8\].*channels last"),
        (np.zeros((0, 8, 3), np.uint8), r"has \[0, 8, 3\]"),
        (Image.new("I;16", (8, 8)), r"8 bits a channel, but .* has the mode 'I;16'"),
        (None, r"this is a builtins\.NoneType: try numpy\.asarray"),
        ("gone.png", r"cannot read picture gone\.png"),
    ],
)
def test_what_is_no_picture_is_an_error_with_a_remedy(trained, picture, message):
    for given in (picture, [picture]):
        with pytest.raises(InputError, match=message):
            trained(given)
    with pytest.raises(InputError, match=rf"^pictures\[1\]: .*{message}"):
        trained([np.zeros((48, 64, 3), np.uint8), picture])
