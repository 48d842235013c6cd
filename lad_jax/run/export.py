"""Export of a trained network: one file that runs without this package, on CPUs, NVIDIA GPUs and TPUs."""

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from lad_jax.data import DataOptions
from lad_jax.data.canvases import Canvas, canvases_of_any
from lad_jax.errors import InputError
from lad_jax.evaluation.detector import make_detector
from lad_jax.evaluation.postprocess import PostprocessOptions
from lad_jax.files import write_whole
from lad_jax.models import Detector
from lad_jax.models.backbones import check_canvases
from lad_jax.paths import make_folder
from lad_jax.priors import PAD_MULTIPLE
from lad_jax.rounding import round_up
from lad_jax.run.archive import Content, Description, pack
from lad_jax.run.environment import versions
from lad_jax.run.trained import Trained, load
from lad_jax.types import Network, Pictures

PLATFORMS = ("cpu", "cuda", "tpu")
"""JAX's names of the kinds of devices that an exported program runs on."""

_log = logging.getLogger(__name__)


def export(
    source: str | Path,
    output: Path,
    canvases: Sequence[Canvas] = (),
    *,
    network: Network | None = None,
    threshold: float | None = None,
    max_detections: int | None = None,
) -> None:
    """Write a trained network, and how its predictions become detections, into a new file (see `archive`).

    Args:
      source: see `local_checkpoint`.
      output: the file.
      canvases: heights and widths, padding included, of the pictures that it takes [pixels]; none: those that hold
        pictures of any shape.
      network: `student`, `teacher` or a peer; default: `evaluation.network` of the run.
      threshold, max_detections: least score and largest number of a picture's detections; default: the run's.

    Raises:
      InputError: the file exists or cannot be written; there is no such network; or a canvas does not suit it.
    """
    if output.exists():
        raise InputError(f"{output} exists: nothing is overwritten. Take another name, or move the file away.")
    trained = load(source, network)
    canvases = tuple(canvases) or _canvases_of_any(trained.options.data)
    check(canvases, trained.options.data)
    check_canvases(canvases, trained.model.options.backbone, "backbone")
    make_folder(output.parent, "the folder of --output,")
    postprocess = trained.options.evaluation.postprocess
    if threshold is not None:
        postprocess = replace(postprocess, score_threshold=threshold)
    if max_detections is not None:
        postprocess = replace(postprocess, max_detections=max_detections)
    weights = {name: np.asarray(x) for name, x in flatten_dict(trained.variables, sep=".").items()}
    programs = {canvas: program(trained.model, postprocess, canvas, weights) for canvas in canvases}
    content = pack(Content(_describe(trained, canvases, postprocess), weights, programs))
    write_whole(output, content)
    _log.info("exported to %s, %.1f MB", output, len(content) / 1e6)


def _canvases_of_any(data: DataOptions) -> tuple[Canvas, ...]:
    return canvases_of_any(short_side=data.short_side, long_side=data.long_side, pad_multiple=data.pad_multiple)


def _describe(trained: Trained, canvases: tuple[Canvas, ...], postprocess: PostprocessOptions) -> Description:
    data = trained.options.data
    return Description(
        class_names=trained.class_names,
        category_ids=trained.category_ids,
        canvases=canvases,
        short_side=data.short_side,
        long_side=data.long_side,
        score_threshold=postprocess.score_threshold,
        max_detections=postprocess.max_detections,
        batch_size=trained.options.evaluation.batch_size,
        lad_jax=versions()["lad-jax"],
        jax=versions()["jax"],
    )


def program(model: Detector, postprocess: PostprocessOptions, canvas: Canvas, weights: dict[str, Any]) -> bytes:
    """The serialised program for pictures on a canvas: from weights and `Pictures` to a dict of `Detections`.

    Its arguments are the weights by name, `images` uint8 [B, H, W, 3], `image_hw` int32 [B, 2] and `scale` float32
    [B, 2], for any B (see `Pictures`); its answer is `boxes` [B, D, 4], `scores`, `labels` and `valid` [B, D].
    """
    since = time.monotonic()
    detector = make_detector(model, postprocess)

    def detect(weights: dict[str, Any], images: Any, image_hw: Any, scale: Any) -> dict[str, Any]:
        found = detector(unflatten_dict(weights, sep="."), Pictures(images, image_hw, scale))
        return {"boxes": found.boxes, "scores": found.scores, "labels": found.classes, "valid": found.valid}

    (batch,) = jax.export.symbolic_shape("batch")
    shapes = [
        jax.ShapeDtypeStruct((batch, *canvas, 3), jnp.uint8),
        jax.ShapeDtypeStruct((batch, 2), jnp.int32),
        jax.ShapeDtypeStruct((batch, 2), jnp.float32),
    ]
    exported = jax.export.export(jax.jit(detect), platforms=PLATFORMS)(weights, *shapes)
    _log.info("exported the program for %dx%d, in %.0f s", *canvas, time.monotonic() - since)
    return bytes(exported.serialize())


def parse_canvases(text: str) -> tuple[Canvas, ...]:
    """Canvases that a command line gives: `800x1344,1344x800`.

    Raises:
      InputError: the text has another form.
    """
    if not re.fullmatch(r"[1-9]\d{0,5}x[1-9]\d{0,5}(,[1-9]\d{0,5}x[1-9]\d{0,5})*", text):
        raise InputError(
            f"--canvas is {text!r}, but must be HEIGHTxWIDTH in pixels, several with a comma between them: "
            "--canvas=800x1344,1344x800."
        )
    sizes = (canvas.split("x") for canvas in text.split(","))
    return tuple(dict.fromkeys((int(height), int(width)) for height, width in sizes))


def check(canvases: Sequence[Canvas], data: DataOptions) -> None:
    """Check that canvases have sides that a network takes, and that each holds some picture after the resize.

    Raises:
      InputError: one has not, or is too small for any picture, or larger than all of them.
    """
    most = round_up(data.long_side, data.pad_multiple)
    resized = f"pictures are resized to a shorter side of {data.short_side} or a longer one of {data.long_side} pixels"
    for height, width in canvases:
        name, larger = f"canvas {height}x{width}", [round_up(side, PAD_MULTIPLE) for side in (height, width)]
        if larger != [height, width]:
            raise InputError(
                f"the sides of {name} are not multiples of {PAD_MULTIPLE} pixels: take {larger[0]}x{larger[1]}."
            )
        if min(height, width) < data.short_side and max(height, width) < data.long_side:
            raise InputError(f"{name} is too small for any picture: {resized}.")
        if max(height, width) > most:
            raise InputError(f"{name} is larger than any picture: {resized}. Take sides of at most {most}.")
