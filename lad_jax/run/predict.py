"""Prediction: detect objects in picture files, and write a JSON file and drawn pictures."""

import glob
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from lad_jax.data import read_picture
from lad_jax.data.pictures import SUFFIXES
from lad_jax.errors import InputError
from lad_jax.files import write_whole
from lad_jax.options import RunOptions
from lad_jax.run.interrupt import Interruptions, saving_on_exit
from lad_jax.run.trained import Result, Trained, load
from lad_jax.visualize import Image, draw_boxes, write_png

_log = logging.getLogger(__name__)


def find_pictures(source: str) -> list[Path]:
    """Picture files that a file name, a folder or a glob pattern means, sorted.

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
    written = predict_files(paths, load(workdir, options.evaluation.network), options, output)
    print(f"{len(paths)} picture(s); results in {written}")


def predict_files(
    paths: Sequence[Path], trained: Trained, options: RunOptions, out_dir: Path, *, draw_from: float = 0.3
) -> Path:
    """Detect the objects of pictures and write `predictions.json` and drawn pictures.

    The drawing of `a/b.jpg` is `b.jpg.png` in `out_dir`; folders below the pictures' common one are kept. Small
    pictures are enlarged for drawing.

    Args:
      paths: picture files.
      trained: the network.
      options: `evaluation` says how predictions become detections, and how many pictures share a batch;
        `data.on_bad_picture` what is done about one that cannot be read.
      out_dir: folder for the results, made if need be.
      draw_from: score from which boxes are drawn; the file has all.

    Returns:
      The JSON file: a list of {"file", "detections": [{"bbox": [x, y, width, height] in pixels of the picture,
      "category_id", "name", "score"}]}, by falling score.

    Raises:
      InputError: a picture cannot be read, unless `data.on_bad_picture` is "skip"; or a result cannot be written.
      Interrupted: SIGTERM or Ctrl-C has come; only in the main thread.

    Before these, and any other error, goes on, the results of the pictures that are done are written.
    """
    # Without "..", which would lead out of the output folder.
    absolute = {path: Path(os.path.abspath(path)) for path in paths}
    common = Path(os.path.commonpath([path.parent for path in absolute.values()]))
    predictions: list[dict[str, Any]] = []
    size = min(options.evaluation.batch_size, len(paths))

    def save() -> None:
        if predictions:
            _log.warning("%d of %d pictures; results in %s", len(predictions), len(paths), _write(out_dir, predictions))

    with Interruptions() as stop, saving_on_exit(save):
        for start in range(0, len(paths), size):
            with stop.at_once():
                pictures, unreadable = _read(paths[start : start + size], stop=options.data.on_bad_picture == "stop")
                results = trained(list(pictures.values()), postprocess=options.evaluation.postprocess, batch_size=size)
            for (path, picture), result in zip(pictures.items(), results, strict=True):
                predictions.append(_entry(path, result))
                drawing = out_dir / absolute[path].relative_to(common)
                write_png(drawing.with_name(drawing.name + ".png"), _draw(picture, result.at_least(draw_from), trained))
                _log.info("%d/%d %s: %d detections", len(predictions), len(paths), path, len(result))
            if unreadable:
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
    write_whole(target, json.dumps(predictions, indent=1, allow_nan=False) + "\n")
    return target


def _entry(path: Path, result: Result) -> dict[str, Any]:
    """Entry of a picture in `predictions.json`."""
    found = zip(result.to_coco(), result.names.tolist(), strict=True)
    return {"file": str(path), "detections": [{**detection, "name": name} for detection, name in found]}


def _draw(picture: Image, result: Result, trained: Trained) -> Image:
    return draw_boxes(picture, result.boxes, result.labels, result.scores, trained.class_names)
