"""An exported detector: equal to the run that it is from, without this package too; files that are not run."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import jax
import jax.export
import numpy as np
import pytest
from PIL import Image

import lad_jax
from lad_jax.data import DataOptions, open_dataset
from lad_jax.errors import InputError
from lad_jax.evaluation.detector import make_detector
from lad_jax.evaluation.postprocess import PostprocessOptions
from lad_jax.models import Detector
from lad_jax.run import saving
from lad_jax.run.archive import Content, Description, pack
from lad_jax.run.export import check, export, parse_canvases, program
from lad_jax.run.exported import Exported, open_exported
from lad_jax.run.meta import Meta, as_json
from tests import networks
from tests.run.tiny import tiny

ROOT = Path(__file__).parents[2]
DETECT = re.findall(r"```python\n(.*?)```", (ROOT / "docs/export.md").read_text(), re.DOTALL)[-1]
"""The program of the docs that runs an exported file without this package."""
THRESHOLD, MOST = 0.09, 24
"""Of the exported detector, which has fewer detections than the run lets through, by either of them."""


@pytest.fixture(scope="module")
def workdir(tmp_path_factory) -> Path:
    """A workdir with random weights, of which scores vary."""
    options = tiny()
    dataset = open_dataset(options.data, "val")
    variables = jax.tree.map(np.asarray, networks.varied(Detector(options.model, len(dataset.class_names)), 3))
    meta = Meta(as_json(options), dataset.class_names, dataset.category_ids, "", {})
    workdir = tmp_path_factory.mktemp("run")
    saving.save_weights(workdir, {"student": variables}, meta)
    return workdir


@pytest.fixture(scope="module")
def file(workdir, tmp_path_factory) -> Path:
    """A detector that the main program has exported; tests/test_readme.py has the command."""
    path = tmp_path_factory.mktemp("exported") / "new" / "detector.zip"
    asked = [f"--output={path}", "--canvas=96x96,64x96,96x64", f"--threshold={THRESHOLD}", f"--max_detections={MOST}"]
    command = [sys.executable, "main.py", "--mode=export", f"--workdir={workdir}", *asked]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def exported(file) -> Exported:
    return lad_jax.load(file)


@pytest.fixture(scope="module")
def expected(workdir, files):
    """Detections of the pictures by the run itself."""
    options = PostprocessOptions(score_threshold=THRESHOLD, max_detections=MOST)  # what is below has no vote either
    results = lad_jax.load(workdir)(files, postprocess=options)
    assert 0 < min(map(len, results)) < MOST == max(map(len, results))
    return results


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    """Pictures of which three need no resize, one of them on the smaller canvas, and the last one does."""
    folder, dataset = tmp_path_factory.mktemp("pictures"), open_dataset(tiny().data, "val")
    pictures = [cv2.resize(dataset.read(i), size) for i, size in enumerate([(96, 96), (96, 60), (96, 96), (150, 130)])]
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number}.png"), picture[:, :, ::-1])
    return [folder / f"{number}.png" for number in range(len(pictures))]


def assert_same(ours, expected):
    assert len(ours) == len(expected) > 0
    for field in ("labels", "names", "category_ids"):
        np.testing.assert_array_equal(getattr(ours, field), getattr(expected, field))
    np.testing.assert_allclose(ours.scores, expected.scores, atol=1e-6)
    np.testing.assert_allclose(ours.boxes, expected.boxes, atol=1e-4)


def test_detections_are_those_of_the_run(exported, files, expected):
    """On another canvas too, of files, arrays and Pillow's pictures."""
    for ours, theirs in zip(exported(files, batch_size=4), expected, strict=True):
        assert_same(ours, theirs)
    assert_same(exported(str(files[0])), expected[0])
    assert_same(exported(Image.open(files[0])), expected[0])
    (ours,) = exported(np.asarray(Image.open(files[0]))[None])
    assert_same(ours, expected[0])
    assert exported([]) == []


BAD_NUMBERS = {
    "threshold": (-0.1, 1.5, float("nan")),
    "max_detections": (0, -1),
    "batch_size": (0, -4),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD_NUMBERS.items() for value in values])
def test_numbers_that_nothing_can_have(workdir, exported, files, name, value):
    """Least scores and sizes are refused before anything is computed, and by both kinds of detectors alike."""
    for detector in (lad_jax.load(workdir), exported):
        with pytest.raises(InputError, match=rf"^{name} is {value}: give .*, or leave it out"):
            detector(files, **{name: value})


RUN = """
import sys

program, *batches = sys.argv[1:]
for words in batches:
    sys.argv = ["detect.py", *words.split()]
    exec(compile(program, "detect.py", "exec"), {})
    print("end")
"""


def only(packages: Sequence[str], folder: Path) -> Path:
    """A folder of links to packages, which a Python without others finds by `PYTHONPATH`."""
    folder.mkdir()
    for name in packages:
        place = Path(importlib.util.find_spec(name).origin).parent
        for part in (place, *place.parent.glob(f"{'pillow' if name == 'PIL' else name}.libs")):
            (folder / part.name).symlink_to(part)
    return folder


def lines(output: str) -> dict[str, list[list[str]]]:
    """What the program of the docs has printed, by file."""
    found: dict[str, list[list[str]]] = {}
    for line in output.splitlines():
        name, *values = line.split()
        found.setdefault(name, []).append(values)
    return found


def assert_printed(printed, expected, *, resized=False):
    assert len(printed) == len(expected) > 0
    scores, *boxes = np.array([row[1:] for row in printed], float).T
    if resized:  # by Pillow, of whose pixels many are a level darker than OpenCV's
        np.testing.assert_allclose(scores, expected.scores, atol=5e-3)
        return
    assert [row[0] for row in printed] == expected.names.tolist()
    np.testing.assert_allclose(scores, expected.scores, atol=1e-6)
    np.testing.assert_allclose(np.stack(boxes, axis=1), expected.boxes, atol=1e-4)


def with_canvases(canvases, file, path):
    """The file with some of its canvases alone."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "detector.json":
                content = json.dumps(json.loads(content) | {"canvases": canvases}).encode()
            new.writestr(name, content)
    return path


def test_it_runs_without_this_package(file, exported, files, expected, tmp_path):
    """By the lines of the docs as they stand there; also where no canvas holds all pictures."""
    wide, tall = files[1], tmp_path / "tall.png"
    Image.open(wide).transpose(Image.Transpose.TRANSPOSE).save(tall)
    narrow = with_canvases([(64, 96), (96, 64)], file, tmp_path / "narrow.zip")
    batches = [f"{file} {files[0]}", " ".join(map(str, [file, *files])), f"{narrow} {wide} {tall}"]
    required_by_jax = ("jaxlib", "ml_dtypes", "numpy", "opt_einsum", "scipy")
    environment = os.environ | {
        "PYTHONPATH": str(only(("jax", *required_by_jax, "flatbuffers", "PIL"), tmp_path / "p"))
    }
    command = [sys.executable, "-S", "-c", RUN, DETECT, *batches]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    one, four, both, _ = result.stdout.split("end\n")
    assert_printed(lines(one)[str(files[0])], expected[0])
    printed = lines(four)
    for number, (name, theirs) in enumerate(zip(files, expected, strict=True)):
        assert_printed(printed[str(name)], theirs, resized=number == 3)
    for name, theirs in ((wide, expected[1]), (tall, exported(tall))):
        assert_printed(lines(both)[str(name)], theirs)


@pytest.mark.slow
def test_it_runs_in_an_environment_of_its_own(file, files, expected, tmp_path):
    """Of which the docs say what is installed: this needs a network."""
    venv.create(tmp_path / "venv", with_pip=True)
    (tmp_path / "detect.py").write_text(DETECT)
    named = re.search(r"pip install ([a-z ]+)` alone", (ROOT / "docs/export.md").read_text())
    python = tmp_path / "venv/bin/python"
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "XLA_FLAGS")}
    shared: Any = {"cwd": tmp_path, "env": environment}
    subprocess.run([python, "-m", "pip", "install", "--quiet", *named[1].split()], check=True, **shared)
    command = [python, "detect.py", str(file), str(files[0])]
    result = subprocess.run(command, capture_output=True, text=True, **shared)
    assert result.returncode == 0, result.stderr
    assert_printed(lines(result.stdout)[str(files[0])], expected[0])


def test_programs_are_for_any_device_and_number_of_pictures(file):
    """And hold no weights, which the file has once."""
    with zipfile.ZipFile(file) as archive:
        weights = archive.getinfo("weights.npz").file_size
        for canvas in ("96x96", "64x96"):
            data = archive.read(f"{canvas}.bin")
            exported = jax.export.deserialize(bytearray(data))
            assert exported.platforms == ("cpu", "cuda", "tpu")
            assert str(exported.out_avals[0].shape) == f"(batch, {MOST}, 4)"
            assert len(data) < weights


@pytest.mark.slow
@pytest.mark.parametrize("family", networks.BACKBONES)
def test_every_family_is_exported(family, tmp_path):
    """By operations of XLA alone, and with the answers of the network itself."""
    model, canvas = Detector(networks.of_family(family), networks.N_CLASSES), networks.CANVAS
    variables, pictures = networks.varied(model, 0), networks.make_batch().pictures
    weights = {".".join(k.key for k in path): x for path, x in jax.tree_util.tree_leaves_with_path(variables)}
    options = PostprocessOptions(score_threshold=0.001)
    description = Description(("a", "b", "c"), (1, 2, 3), (canvas,), *canvas, 0.001, 100, 4, "", "")
    path = tmp_path / "detector.zip"
    path.write_bytes(pack(Content(description, weights, {canvas: program(model, options, canvas, weights)})))
    found, expected = open_exported(path)._run(pictures), make_detector(model, options)(variables, pictures)
    np.testing.assert_array_equal(found.classes, expected.classes)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-4)


def test_fewer_detections_than_were_exported(exported, files, expected):
    middle = float(expected[0].scores[len(expected[0]) // 2])
    few = exported(files[0], threshold=middle, max_detections=5)
    assert len(few) == 5
    np.testing.assert_allclose(few.boxes, expected[0].best(middle, 5).boxes, atol=1e-4)
    with pytest.raises(InputError, match=r"threshold is 0\.01, but .*zip has no detections below 0\.09: .*=0\.01\.$"):
        exported(files[0], threshold=0.01)
    with pytest.raises(InputError, match=r"max_detections is 25, but .*zip gives at most 24 .*--max_detections=25\.$"):
        exported(files[0], max_detections=25)


def test_pictures_that_fit_no_canvas_are_named(exported, files):
    flat = replace(exported, description=replace(exported.description, canvases=((64, 96),)))
    why = r"has 150x130 pixels \(.*\), 96x83 once .* none of the canvases of .*zip: 64x96\. .*=64x96,96x96\.$"
    picture = np.zeros((150, 130, 3), np.uint8)
    for given, name in (
        (picture, r"pictures\[0\]"),
        ([files[1], picture], r"pictures\[1\]"),
        (Image.fromarray(picture), r"pictures\[0\]"),
    ):
        with pytest.raises(InputError, match=f"^{name} {why}"):
            flat(given, batch_size=4)
    with pytest.raises(InputError, match=rf"^{files[0]} has 96x96 pixels"):
        flat(files[0])


def test_a_file_has_one_network(file):
    with pytest.raises(InputError, match=r"network is 'teacher', but the exported file .*zip has one network"):
        lad_jax.load(file, "teacher")


@pytest.mark.parametrize("text", ["", "800", "800x", "800x1344,", "800X1344", "0x32", "-32x32", "32x32x32", "1e3x32"])
def test_malformed_canvases(text):
    with pytest.raises(InputError, match=f"--canvas is '{text}', but must be HEIGHTxWIDTH.*--canvas=800x1344,1344x800"):
        parse_canvases(text)


def test_canvases_of_the_command_line():
    assert parse_canvases("800x1344,1344x800,800x1344") == ((800, 1344), (1344, 800))


@pytest.mark.parametrize(
    ("canvas", "message"),
    [
        ((810, 1344), "the sides of canvas 810x1344 are not multiples of 32 pixels: take 832x1344"),
        ((768, 768), "canvas 768x768 is too small for any picture: .* shorter side of 800 or a longer one of 1333 "),
        ((768, 1312), "canvas 768x1312 is too small"),
        ((800, 1376), "canvas 800x1376 is larger than any picture: .* sides of at most 1344"),
    ],
)
def test_canvases_that_do_not_suit_pictures(canvas, message):
    data = DataOptions(short_side=800, long_side=1333)
    check([(800, 800), (768, 1344), (1344, 32), (1344, 1344)], data)
    with pytest.raises(InputError, match=message):
        check([(800, 1344), canvas], data)


def test_nothing_is_overwritten_and_no_run_is_an_error(workdir, file, tmp_path):
    before = file.read_bytes()
    with pytest.raises(InputError, match=r"detector\.zip exists: nothing is overwritten"):
        export(workdir, file)
    assert file.read_bytes() == before
    with pytest.raises(InputError, match=f"no checkpoint in {tmp_path}"):
        export(tmp_path, tmp_path / "out" / "detector.zip")
    with pytest.raises(InputError, match="has no network 'teacher', but student"):
        export(workdir, tmp_path / "out" / "detector.zip", network="teacher")
    with pytest.raises(InputError, match="has no network 'studnet', but student"):
        export(workdir, tmp_path / "out" / "detector.zip", network="studnet")
    assert not (tmp_path / "out").exists()
