"""Prediction on many pictures of many shapes: few programs, flat memory, and all results in their order."""

import dataclasses
import json
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from lad_jax.data import DataOptions
from lad_jax.options import RunOptions
from lad_jax.run import predict as program
from lad_jax.run.trained import Trained, _detector
from tests import networks
from tests.slow.run import resident_mb

PICTURES, SHAPES, PROGRAMS = 1000, 40, 5
WARM = 400
"""Number of pictures after which every program has been compiled and has run."""
GROWTH_MB = 16
"""How much more memory may be resident at the end than after `WARM` pictures; results in memory would be 30 [MB]."""
OPTIONS = RunOptions(model=networks.OPTIONS, data=DataOptions(short_side=64, long_side=128, pad_multiple=32))


def write_pictures(folder: Path) -> list[Path]:
    """Pictures of noise, to be taken in another order than their names'."""
    rng = np.random.default_rng(0)
    shapes = rng.integers(40, 200, (SHAPES, 2))
    paths = [folder / f"{number:04}.png" for number in rng.permutation(PICTURES)]
    folder.mkdir()
    for path, (height, width) in zip(paths, rng.choice(shapes, PICTURES).tolist(), strict=True):
        cv2.imwrite(str(path), rng.integers(0, 256, (height, width, 3), np.uint8))
    return paths


@pytest.mark.slow
def test_a_thousand_pictures_of_forty_shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of about 90 detections a picture."""
    paths = write_pictures(tmp_path / "in")
    model = dataclasses.replace(networks.MODEL, name="of_many_shapes")
    trained = Trained(model, networks.varied(networks.MODEL, 0), OPTIONS, ("cat", "dog", "emu"), (3, 7, 90))
    memory, write = [], program.write_png

    def write_and_measure(*arguments: object) -> None:
        write(*arguments)
        memory.append(resident_mb("self"))

    monkeypatch.setattr(program, "write_png", write_and_measure)
    since = time.monotonic()
    entries = json.loads(program.predict_files(paths, trained, OPTIONS, tmp_path / "out").read_text())
    programs = _detector(model, OPTIONS.evaluation.postprocess)._cache_size()
    start, end, found = memory[WARM], memory[-1], sum(len(entry["detections"]) for entry in entries)
    print(f"{programs} programs, {time.monotonic() - since:.0f} s, {found} detections, {start:.0f} to {end:.0f} MB")
    assert programs <= PROGRAMS
    assert end - start < GROWTH_MB and found > 50 * PICTURES

    assert [entry["file"] for entry in entries] == list(map(str, paths))
    some = slice(0, PICTURES, 50)
    for entry, result in zip(entries[some], trained(paths[some], batch_size=8), strict=True):
        boxes, scores = ([detection[key] for detection in entry["detections"]] for key in ("bbox", "score"))
        np.testing.assert_allclose(scores, result.scores, atol=1e-4)
        np.testing.assert_allclose(boxes, [detection["bbox"] for detection in result.to_coco()], atol=1e-2)
