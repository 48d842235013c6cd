"""Prediction on files: which pictures are taken, in whose pixels results are, what is written."""

import dataclasses
import json
import os
import signal
from dataclasses import replace

import cv2
import jax.numpy as jnp
import numpy as np
import pytest

from lad_jax.data import DataOptions
from lad_jax.ending import EXIT_CODES, Interrupted
from lad_jax.errors import InputError
from lad_jax.evaluation.evaluator import EvaluationOptions
from lad_jax.evaluation.postprocess import PostprocessOptions
from lad_jax.models import Detector, ModelOptions
from lad_jax.options import RunOptions
from lad_jax.priors import make_levels
from lad_jax.run import predict as program
from lad_jax.run.predict import predict_files
from lad_jax.run.trained import Trained, _detector
from lad_jax.types import Predictions
from lad_jax.visualize import colour

MODEL = ModelOptions(first_level=4, n_levels=2)


class Finder(Detector):
    """Finds the content as an object of class 1, and its left half as one of class 0 with a low score."""

    def __call__(self, images, image_hw):
        height, width = jnp.moveaxis(image_hw.astype(jnp.float32), -1, 0)
        zero = jnp.zeros_like(width)
        n, count = len(images), sum(make_levels(images.shape[1:3], self.options.strides).sizes)
        whole, left = jnp.stack([zero, zero, width, height], -1), jnp.stack([zero, zero, width / 2, height], -1)
        p = jnp.full((n, count, 2), 1e-6).at[:, 0, 1].set(0.81).at[:, 1, 0].set(0.04)
        return Predictions(
            class_log_p=jnp.log(p),
            class_log_not_p=jnp.log1p(-p),
            box_deltas=jnp.zeros((n, count, 4)),
            boxes=jnp.zeros((n, count, 4)).at[:, 0].set(whole).at[:, 1].set(left),
            quality_logit=jnp.full((n, count), 20.0),
        )


OPTIONS = RunOptions(model=MODEL, data=DataOptions(short_side=60, long_side=120, pad_multiple=32))
TRAINED = Trained(Finder(MODEL, 2), {}, OPTIONS, ("cat", "dog"), (3, 90))


def predict(paths, out_dir, batch_size=1, on_bad_picture="stop"):
    options = RunOptions(
        evaluation=EvaluationOptions(batch_size=batch_size, postprocess=PostprocessOptions(max_detections=5)),
        data=DataOptions(on_bad_picture=on_bad_picture),
    )
    return json.loads(predict_files(paths, TRAINED, options, out_dir).read_text())


def picture(path, height=40, width=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), 90, np.uint8))
    return path


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_results_are_in_pixels_of_the_file(tmp_path, batch_size):
    """The resize differs from picture to picture and, by rounding, from axis to axis; batches may not be full."""
    sizes = [(101, 40), (200, 333), (90, 90)]
    paths = [picture(tmp_path / f"{i}.png", height, width) for i, (width, height) in enumerate(sizes)]
    predictions = predict(paths, tmp_path / "out", batch_size=batch_size)
    assert [p["file"] for p in predictions] == [str(path) for path in paths]
    for (width, height), prediction in zip(sizes, predictions, strict=True):
        dog, cat = prediction["detections"]
        assert (dog["name"], dog["category_id"], cat["name"], cat["category_id"]) == ("dog", 90, "cat", 3)
        assert dog["bbox"] == pytest.approx([0, 0, width, height], abs=0.01)
        assert cat["bbox"] == pytest.approx([0, 0, width / 2, height], abs=0.01)
        assert (dog["score"], cat["score"]) == (pytest.approx(0.9, abs=1e-4), pytest.approx(0.2, abs=1e-4))


def test_many_shapes_compile_few_programs(tmp_path):
    """At most one for each of five canvases; results are in the order of the files."""
    random = np.random.default_rng(0)
    sizes = [*random.integers(20, 130, (40, 2)).tolist(), [2, 300], [400, 3]]
    paths = [picture(tmp_path / f"{i}.png", height, width) for i, (height, width) in enumerate(sizes)]
    trained = replace(TRAINED, model=Finder(MODEL, 2, name="counted"))
    options = RunOptions(evaluation=EvaluationOptions(batch_size=4, postprocess=PostprocessOptions(max_detections=5)))
    predictions = json.loads(predict_files(paths, trained, options, tmp_path / "out").read_text())
    assert [p["file"] for p in predictions] == list(map(str, paths))
    for (height, width), prediction in zip(sizes, predictions, strict=True):
        assert prediction["detections"][0]["bbox"] == pytest.approx([0, 0, width, height], abs=0.1)
    assert 2 <= _detector(trained.model, options.evaluation.postprocess)._cache_size() <= 5


def test_drawing_shows_the_good_boxes_enlarged(tmp_path):
    predict([picture(tmp_path / "a.png")], tmp_path / "out")
    drawn = cv2.imread(str(tmp_path / "out" / "a.png.png"))[:, :, ::-1]
    assert drawn.shape == (200, 500, 3)
    assert (drawn[150, 0] == colour(1)).all() and (drawn[150, 499] == colour(1)).all()
    assert not (drawn == np.array(colour(0))).all(axis=-1).any()  # scores below 0.3 are not drawn


def test_equal_names_do_not_overwrite_each_other(tmp_path):
    paths = [picture(tmp_path / "in" / name) for name in ("a.png", "a.jpg", "x/a.png", "y/a.png")]
    predict(paths, tmp_path / "out")
    drawings = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png"))
    assert drawings == ["a.jpg.png", "a.png.png", "x/a.png.png", "y/a.png.png"]


def test_drawings_stay_in_the_output_folder(tmp_path):
    """Also of pictures that a pattern found by way of `..`."""
    paths = [picture(tmp_path / "a/b/1.png"), picture(tmp_path / "a/b/../../c/2.png")]
    predict(paths, tmp_path / "x/y/z/out")
    drawn = sorted(path.relative_to(tmp_path / "x").as_posix() for path in (tmp_path / "x").rglob("*.png"))
    assert drawn == ["y/z/out/a/b/1.png.png", "y/z/out/c/2.png.png"]


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_unreadable_pictures_are_an_error_after_all_others_are_done(tmp_path, batch_size, caplog):
    broken = [tmp_path / "broken.png", tmp_path / "cut.png"]
    for path in broken:
        path.write_bytes(b"not a picture")
    good = [picture(tmp_path / "a.png"), picture(tmp_path / "b.png")]
    with pytest.raises(InputError, match=r"broken\.png .* names 1 more\. Results of the 2 other pictures are in .*out"):
        predict([broken[0], good[0], broken[1], good[1]], tmp_path / "out", batch_size=batch_size)
    done = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [p["file"] for p in done] == [str(path) for path in good]
    assert all(f"skipped: cannot decode picture {path}" in caplog.text for path in broken)


@pytest.mark.parametrize("batch_size", [1, 2, 8])
@pytest.mark.parametrize(
    ("function", "act", "end", "done"),
    [
        # While the third picture is read its batch is given up; while it is drawn, it is the last one.
        ("read_picture", lambda: signal.raise_signal(signal.SIGTERM), Interrupted, {1: 2, 2: 2, 8: 0}),
        ("write_png", lambda: signal.raise_signal(signal.SIGINT), Interrupted, {1: 3, 2: 3, 8: 3}),
        ("read_picture", lambda: 1 / 0, ZeroDivisionError, {1: 2, 2: 2, 8: 0}),
        ("write_png", lambda: os.write(os.open("/dev/full", os.O_WRONLY), b"x"), OSError, {1: 3, 2: 3, 8: 3}),
    ],
    ids=["SIGTERM", "Ctrl-C", "error", "full disk"],
)
def test_what_was_done_is_written_first(function, act, end, done, batch_size, tmp_path, monkeypatch, caplog):
    original, calls = getattr(program, function), []

    def third_acts(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            act()
        return original(*arguments)

    monkeypatch.setattr(program, function, third_acts)
    paths = [picture(tmp_path / f"{i}.png") for i in range(5)]
    handlers = [signal.getsignal(number) for number in EXIT_CODES]
    with pytest.raises(end) as ended:
        predict(paths, tmp_path / "out", batch_size)
    assert end is not Interrupted or ended.value.code == EXIT_CODES[ended.value.signal]
    assert [signal.getsignal(number) for number in EXIT_CODES] == handlers
    file = tmp_path / "out" / "predictions.json"
    written = json.loads(file.read_text()) if file.exists() else []
    assert [p["file"] for p in written] == [str(path) for path in paths[: done[batch_size]]]
    assert (f"{len(written)} of 5 pictures; results in {file}" in caplog.messages) == bool(written)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_unreadable_picture_can_be_skipped(tmp_path, caplog, batch_size):
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    paths = [tmp_path / "broken.png", picture(tmp_path / "a.png")]
    done = predict(paths, tmp_path / "out", batch_size, on_bad_picture="skip")
    assert [p["file"] for p in done] == [str(tmp_path / "a.png")] and "broken.png" in caplog.text


@pytest.mark.parametrize(
    ("threshold", "written", "drawn"),
    [(None, [0.9, 0.2], [1]), (0.5, [0.9], [1]), (0.1, [0.9, 0.2], [0, 1]), (0.95, [], []), (0.01, [0.9, 0.2], [0, 1])],
)
def test_threshold_is_for_file_and_drawing(threshold, written, drawn, tmp_path):
    options = RunOptions() if threshold != 0.01 else strict_options(0.5)
    file = predict_files([picture(tmp_path / "a.png")], TRAINED, options, tmp_path / "out", threshold=threshold)
    [entry] = json.loads(file.read_text())
    assert [detection["score"] for detection in entry["detections"]] == pytest.approx(written, abs=1e-3)
    pixels = cv2.imread(str(tmp_path / "out" / "a.png.png"))[:, :, ::-1]
    assert [label for label in (0, 1) if (pixels == np.array(colour(label))).all(axis=-1).any()] == drawn


def strict_options(score_threshold):
    return RunOptions(evaluation=EvaluationOptions(postprocess=PostprocessOptions(score_threshold=score_threshold)))


def test_without_a_config_the_run_says_how(tmp_path, monkeypatch):
    strict = dataclasses.replace(
        TRAINED, options=dataclasses.replace(OPTIONS, evaluation=strict_options(0.5).evaluation)
    )
    monkeypatch.setattr(program, "load", lambda workdir, network: strict)
    picture(tmp_path / "in" / "a.png")
    for options, found in ((None, 1), (RunOptions(), 2)):
        program.predict(options, tmp_path, [str(tmp_path / "in")], tmp_path / "out")
        [entry] = json.loads((tmp_path / "out" / "predictions.json").read_text())
        assert len(entry["detections"]) == found


def test_an_output_folder_that_cannot_be_is_known_before_the_first_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(program, "load", lambda workdir, network: TRAINED)
    monkeypatch.setattr(program, "predict_files", None)
    file = picture(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"folder of --output, .*a\.png cannot be made"):
        program.predict(None, tmp_path, [str(file)], file)


def test_the_longest_names_have_drawings(tmp_path):
    names = ["x" * 251 + ".png", "x" * 250 + "y.png", "é" * 125 + ".png", "x" * 247 + ".png"]
    predict([picture(tmp_path / "in" / name) for name in names], tmp_path / "out")
    drawings = [path.name for path in (tmp_path / "out").glob("*.png")]
    assert len(drawings) == 4 and max(len(name.encode()) for name in drawings) <= 255
    assert names[3] + ".png" in drawings
