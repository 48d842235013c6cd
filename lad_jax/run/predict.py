"""Prediction: detect objects in picture files, and write a JSON file and drawn pictures."""

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax

from lad_jax.data import read_picture
from lad_jax.data.folders import find_pictures
from lad_jax.errors import InputError
from lad_jax.options import RunOptions
from lad_jax.paths import NAME_BYTES, make_folder
from lad_jax.run.entries import Entries
from lad_jax.run.interrupt import Interruptions, saving_on_exit
from lad_jax.run.result import Result
from lad_jax.run.trained import Trained, load, widened
from lad_jax.visualize import Image, draw_boxes, write_png

T = TypeVar("T")
_log = logging.getLogger(__name__)


def predict(
    options: RunOptions | None,
    source: str | Path,
    images: Sequence[str],
    output: Path,
    threshold: float | None = None,
) -> None:
    """Detect objects in pictures; writes them with boxes, and `predictions.json`, into a folder.

    Args:
      options: how predictions become detections, and of which network; None: those of the run. How pictures are resized
        is always the run's.
      source: the run's folder, or what else `load` takes.
      images: pictures, folders of pictures and glob patterns.
      output: folder for the results.
      threshold: see `predict_files`.

    Raises:
      InputError: no checkpoint, no picture, or one that cannot be read; a folder that cannot be written to; or several
        processes.
    """
    if jax.process_count() > 1:
        raise InputError(f"--mode=predict is for one process, but there are {jax.process_count()}: start it alone.")
    paths = find_pictures(images)
    trained = load(source, options.evaluation.network if options else None)
    make_folder(output, "the folder of --output,")
    written = predict_files(paths, trained, options or trained.options, output, threshold=threshold)
    print(f"{len(paths)} picture(s); results in {written}")


def predict_files(
    paths: Sequence[Path], trained: Trained, options: RunOptions, out_dir: Path, *, threshold: float | None = None
) -> Path:
    """Detect the objects of pictures and write `predictions.json` and drawn pictures.

    The drawing of `a/b.jpg` is `b.jpg.png` in `out_dir`, of a longer name than a file may have a shorter one; folders
    below the pictures' common one are kept. Small pictures are enlarged for drawing.

    Args:
      paths: picture files.
      trained: the network.
      options: `evaluation` says how predictions become detections, and how many pictures share a batch;
        `data.on_bad_picture` whether one that cannot be read is an error.
      out_dir: folder for the results, made if need be.
      threshold: least score of detections that are written and drawn; None: the file has all, and those of at least
        0.3 are drawn.

    Returns:
      The JSON file: a list of {"file", "detections": [{"bbox": [x, y, width, height] in pixels of the picture,
      "category_id", "name", "score"}]}, by falling score.

    Raises:
      InputError: pictures could not be read, unless `data.on_bad_picture` is "skip"; or a result cannot be written.
      Interrupted: SIGTERM or Ctrl-C has come; only in the main thread.

    Before these, and any other error, goes on, the results of the pictures that are done are written: where pictures
    cannot be read, those of all others.
    """
    # Without "..", which would lead out of the output folder.
    absolute = {path: Path(os.path.abspath(path)) for path in paths}
    common = Path(os.path.commonpath([path.parent for path in absolute.values()]))
    unreadable: list[InputError] = []
    pictures = _read(paths, unreadable)
    size = min(options.evaluation.batch_size, len(paths))
    written_from, drawn_from = (0.0, 0.3) if threshold is None else (threshold, threshold)
    postprocess = widened(options.evaluation.postprocess, threshold, None)

    out_dir.mkdir(parents=True, exist_ok=True)
    target = out_dir / "predictions.json"

    def save_early() -> None:
        if done:
            done.write(target)
            _log.warning("%d of %d pictures; results in %s", len(done), len(paths), target)

    with tempfile.TemporaryFile(dir=out_dir, buffering=0) as file:  # without a name: nothing is left of it
        done = Entries(file)
        with Interruptions() as stop, saving_on_exit(save_early):
            for number, picture, found in _awaited(trained.detect(pictures, size, postprocess), stop):
                path, result = paths[number], found.best(written_from)
                done.add(number, _entry(path, result))
                drawn = _draw(picture, result.best(drawn_from), trained)
                drawing = out_dir / absolute[path].relative_to(common)
                write_png(drawing.with_name(_drawing_of(path.name)), drawn)
                _log.info("%d/%d %s: %d detections", len(done), len(paths), path, len(result))
        done.write(target)
    if unreadable and options.data.on_bad_picture == "stop":
        others = f" The log names {len(unreadable) - 1} more." if len(unreadable) > 1 else ""
        raise InputError(f"{unreadable[0]}{others} Results of the {len(done)} other pictures are in {target}.")
    return target


def _awaited(items: Iterator[T], stop: Interruptions) -> Iterator[T]:
    """The items; a signal that comes while one is waited for ends the program there."""
    while True:
        with stop.at_once():
            try:
                item = next(items)
            except StopIteration:
                return
        yield item


def _drawing_of(name: str) -> str:
    """Name of the drawing of a picture; one that would be too long is cut, and told from others by a digest."""
    drawing = f"{name}.png"
    if len(os.fsencode(drawing)) <= NAME_BYTES:
        return drawing
    end = f"~{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}.png"
    return os.fsencode(name)[: NAME_BYTES - len(end)].decode(errors="ignore") + end


def _read(paths: Sequence[Path], unreadable: list[InputError]) -> Iterator[tuple[int, Image]]:
    """Numbers and pixels of the pictures that can be read; errors of the others are logged, and kept."""
    for number, path in enumerate(paths):
        try:
            yield number, read_picture(path)
        except InputError as error:
            unreadable.append(error)
            _log.warning("skipped: %s", error)


def _entry(path: Path, result: Result) -> dict[str, Any]:
    """Entry of a picture in `predictions.json`."""
    found = zip(result.to_coco(), result.names.tolist(), strict=True)
    return {"file": str(path), "detections": [{**detection, "name": name} for detection, name in found]}


def _draw(picture: Image, result: Result, trained: Trained) -> Image:
    return draw_boxes(picture, result.boxes, result.labels, result.scores, trained.class_names)
