"""Pictures in; pictures with boxes, names and scores out, and one JSON file."""

import glob
import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lad_jax.data import DataOptions, read_picture
from lad_jax.data.transforms import resize, resized_hw
from lad_jax.errors import InputError
from lad_jax.evaluation.runner import Detector, coco_results
from lad_jax.types import Batch, Detections, GroundTruth
from lad_jax.visualize import Image, draw_boxes, enlarge, readable_factor, write_png

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
"""Files of a folder that are taken for pictures."""

_log = logging.getLogger(__name__)


def find_pictures(source: str) -> list[Path]:
    """The pictures that a file name, a folder or a glob pattern means, sorted.

    Raises:
      InputError: there is none.
    """
    path = Path(source)
    if path.is_file():
        return [path]
    if path.is_dir():
        found = [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES]
    else:
        found = [file for file in map(Path, glob.glob(source, recursive=True)) if file.is_file()]
    if not found:
        kinds = f"a file, a folder with {', '.join(SUFFIXES)}, or a pattern in quotes"
        raise InputError(f"no picture found at {source!r}: give {kinds}.")
    return sorted(found)


def predict_files(
    paths: Sequence[Path],
    detector: Detector,
    variables: Any,
    *,
    options: DataOptions,
    class_names: Sequence[str],
    category_ids: Sequence[int],
    out_dir: Path,
    place: Callable[[Batch], Batch],
    draw_from: float = 0.3,
) -> Path:
    """Detect the objects of pictures, one at a time, and write `predictions.json` and drawn pictures.

    Each picture gets the canvas that it needs itself, as in the reference; pictures of equal padded size share a
    compiled program. The drawing of `a/b.jpg` is `b.jpg.png` in `out_dir`; folders below the pictures' common one
    are kept. Small pictures are enlarged for drawing.

    Args:
      paths: picture files.
      detector: from `make_detector`.
      variables: the network's.
      options: bounds of the resize, and of what the canvas's sides are multiples.
      class_names: by label.
      category_ids: by label.
      out_dir: made if need be.
      place: puts a batch of one picture on a device.
      draw_from: score from which boxes are drawn; the file has all.

    Returns:
      The JSON file: a list of {"file", "detections": [{"bbox": [x, y, width, height] in pixels of the picture,
      "category_id", "name", "score"}]}, by falling score.

    Raises:
      InputError: a picture cannot be read, unless `options.on_bad_picture` is "skip" (the results of those before it
        are written); or a result cannot be written.
    """
    names = dict(zip(category_ids, class_names, strict=True))
    common = Path(os.path.commonpath([path.absolute().parent for path in paths]))
    predictions: list[dict[str, Any]] = []
    for number, path in enumerate(paths, start=1):
        try:
            picture = read_picture(path)
        except InputError as error:
            if options.on_bad_picture == "stop":
                _write(out_dir, predictions)
                raise
            _log.warning("skipped: %s", error)
            continue
        batch = _single(picture, options)
        found = jax.tree.map(lambda x: x[0], jax.device_get(detector(variables, place(batch))))
        results = [{**result, "name": names[result["category_id"]]} for result in coco_results(found, category_ids)]
        predictions.append({"file": str(path), "detections": results})
        drawing = out_dir / path.absolute().relative_to(common)
        write_png(drawing.with_name(drawing.name + ".png"), _draw(picture, found, class_names, draw_from))
        _log.info("%d/%d %s: %d detections", number, len(paths), path, len(results))
    return _write(out_dir, predictions)


def _write(out_dir: Path, predictions: list[dict[str, Any]]) -> Path:
    out_dir.mkdir(parents=True, exist_ok=True)
    target = out_dir / "predictions.json"
    target.write_text(json.dumps(predictions, indent=1, allow_nan=False) + "\n")
    return target


def _single(picture: Image, options: DataOptions) -> Batch:
    """A batch of one picture without annotations, on the smallest canvas that holds it."""
    original_hw = np.array(picture.shape[:2])
    hw = resized_hw(original_hw, short_side=options.short_side, long_side=options.long_side)
    canvas = np.zeros((*(-(-hw // options.pad_multiple) * options.pad_multiple), 3), np.uint8)
    canvas[: hw[0], : hw[1]] = resize(picture, hw)
    nothing = GroundTruth(
        boxes=_row(np.zeros((0, 4), np.float32)),
        labels=_row(np.zeros(0, np.int32)),
        mask=_row(np.zeros(0, bool)),
        crowd=_row(np.zeros(0, bool)),
    )
    return Batch(
        images=_row(canvas),
        truth=nothing,
        image_hw=_row(hw.astype(np.int32)),
        original_hw=_row(original_hw.astype(np.int32)),
        scale=_row((hw / original_hw)[::-1].astype(np.float32)),
        position=_row(np.int32(0)),
        valid=_row(np.True_),
    )


def _row(x: Any) -> Any:
    """The array of one picture as a batch of one."""
    return np.asarray(x)[None]


def _draw(picture: Image, found: Detections, class_names: Sequence[str], draw_from: float) -> Image:
    factor = readable_factor(picture)
    boxes, scores, classes = map(np.asarray, (found.boxes, found.scores, found.classes))
    shown = np.asarray(found.valid) & (scores >= draw_from)
    return draw_boxes(enlarge(picture, factor), boxes[shown] * factor, classes[shown], scores[shown], class_names)
