"""Pictures in; pictures with boxes, names and scores out, and one JSON file."""

import glob
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lad_jax.data import DataOptions, read_picture
from lad_jax.data.pictures import SUFFIXES
from lad_jax.data.transforms import resize, resized_hw
from lad_jax.errors import InputError
from lad_jax.evaluation.detector import Detector, coco_results, make_detector
from lad_jax.options import RunOptions
from lad_jax.run import checkpoint
from lad_jax.types import Batch, Detections, GroundTruth
from lad_jax.visualize import Image, draw_boxes, enlarge, readable_factor, write_png

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


def predict(options: RunOptions, workdir: Path, images: str, output: Path) -> None:
    """Detect objects in pictures; writes them with boxes, and `predictions.json`, into `output`.

    The network, and how pictures are resized for it, are those of the run in `workdir`; `options` gives only how
    predictions become detections.

    Raises:
      InputError: no checkpoint, no picture, or one that cannot be read; or several processes.
    """
    if jax.process_count() > 1:
        raise InputError(f"--mode=predict is for one process, but there are {jax.process_count()}: start it alone.")
    paths = find_pictures(images)
    model, variables, trained = checkpoint.load(workdir, options.evaluation.network)
    meta = checkpoint.read_meta(checkpoint.find(workdir))
    written = predict_files(
        paths,
        make_detector(model.apply, model.options.strides, model.options.anchor_scale, options.evaluation.postprocess),
        jax.device_put(variables),
        options=replace(trained.data, on_bad_picture=options.data.on_bad_picture),
        class_names=meta.class_names,
        category_ids=meta.category_ids,
        out_dir=output,
        place=jax.device_put,
        batch_size=options.evaluation.batch_size,
    )
    print(f"{len(paths)} picture(s); results in {written}")


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
    batch_size: int = 1,
    draw_from: float = 0.3,
) -> Path:
    """Detect the objects of pictures and write `predictions.json` and drawn pictures.

    Pictures that follow each other share a batch, on the smallest canvas that holds them all; batches on equal
    canvases share a compiled program. The drawing of `a/b.jpg` is `b.jpg.png` in `out_dir`; folders below the
    pictures' common one are kept. Small pictures are enlarged for drawing.

    Args:
      paths: picture files.
      detector: from `make_detector`.
      variables: the network's.
      options: bounds of the resize, and of what the canvas's sides are multiples.
      class_names: by label.
      category_ids: by label.
      out_dir: made if need be.
      place: puts a batch on a device.
      batch_size: pictures at a time.
      draw_from: score from which boxes are drawn; the file has all.

    Returns:
      The JSON file: a list of {"file", "detections": [{"bbox": [x, y, width, height] in pixels of the picture,
      "category_id", "name", "score"}]}, by falling score.

    Raises:
      InputError: a picture cannot be read, unless `options.on_bad_picture` is "skip" (the results of those before it
        are written); or a result cannot be written.
    """
    names = dict(zip(category_ids, class_names, strict=True))
    # Without "..", which would lead out of the output folder.
    absolute = {path: Path(os.path.abspath(path)) for path in paths}
    common = Path(os.path.commonpath([path.parent for path in absolute.values()]))
    predictions: list[dict[str, Any]] = []
    size = min(batch_size, len(paths))
    for start in range(0, len(paths), size):
        pictures, unreadable = _read(paths[start : start + size], stop=options.on_bad_picture == "stop")
        if pictures:
            batch = make_batch(list(pictures.values()), options, size)
            found = jax.device_get(detector(variables, place(batch)))
        for row, (path, picture) in enumerate(pictures.items()):
            one = jax.tree.map(lambda x, row=row: x[row], found)
            results = [{**result, "name": names[result["category_id"]]} for result in coco_results(one, category_ids)]
            predictions.append({"file": str(path), "detections": results})
            drawing = out_dir / absolute[path].relative_to(common)
            write_png(drawing.with_name(drawing.name + ".png"), _draw(picture, one, class_names, draw_from))
            _log.info("%d/%d %s: %d detections", len(predictions), len(paths), path, len(results))
        if unreadable:
            _write(out_dir, predictions)
            raise unreadable
    return _write(out_dir, predictions)


def _read(paths: Sequence[Path], *, stop: bool) -> tuple[dict[Path, Image], InputError | None]:
    """The pictures that can be read; with `stop` those before the first that cannot, and its error."""
    pictures: dict[Path, Image] = {}
    for path in paths:
        try:
            pictures[path] = read_picture(path)
        except InputError as error:
            if stop:
                return pictures, error
            _log.warning("skipped: %s", error)
    return pictures, None


def _write(out_dir: Path, predictions: list[dict[str, Any]]) -> Path:
    out_dir.mkdir(parents=True, exist_ok=True)
    target = out_dir / "predictions.json"
    target.write_text(json.dumps(predictions, indent=1, allow_nan=False) + "\n")
    return target


def make_batch(pictures: Sequence[Image], options: DataOptions, size: int) -> Batch:
    """A batch of `size` rows from pictures without annotations, on the smallest canvas that holds them.

    Args:
      pictures: RGB, at most `size`; rows beyond them are not `valid`.
      options: bounds of the resize, and of what the canvas's sides are multiples.
      size: number of rows.
    """
    original_hw, image_hw = np.ones((2, size, 2), np.int32)
    for row, picture in enumerate(pictures):
        original_hw[row] = picture.shape[:2]
        image_hw[row] = resized_hw(original_hw[row], short_side=options.short_side, long_side=options.long_side)
    canvas = -(-image_hw.max(axis=0) // options.pad_multiple) * options.pad_multiple
    images = np.zeros((size, *canvas, 3), np.uint8)
    for row, picture in enumerate(pictures):
        height, width = image_hw[row]
        images[row, :height, :width] = resize(picture, image_hw[row])
    nothing: dict[str, Any] = {
        "boxes": np.zeros((size, 0, 4), np.float32),
        "labels": np.zeros((size, 0), np.int32),
        "mask": np.zeros((size, 0), bool),
        "crowd": np.zeros((size, 0), bool),
    }
    rows: dict[str, Any] = {
        "images": images,
        "image_hw": image_hw,
        "original_hw": original_hw,
        "scale": (image_hw / original_hw)[:, ::-1].astype(np.float32),
        "position": np.arange(size, dtype=np.int32),
        "valid": np.arange(size) < len(pictures),
    }
    return Batch(truth=GroundTruth(**nothing), **rows)


def _draw(picture: Image, found: Detections, class_names: Sequence[str], draw_from: float) -> Image:
    factor = readable_factor(picture)
    boxes, scores, classes = map(np.asarray, (found.boxes, found.scores, found.classes))
    shown = np.asarray(found.valid) & (scores >= draw_from)
    return draw_boxes(enlarge(picture, factor), boxes[shown] * factor, classes[shown], scores[shown], class_names)
