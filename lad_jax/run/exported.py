"""An exported detector, called with pictures as a `Trained` is."""

import functools
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import jax
import jax.export
import numpy as np

from lad_jax.data.canvases import Canvas
from lad_jax.data.transforms import resized_hw
from lad_jax.errors import InputError, first_few, reason_of
from lad_jax.priors import PAD_MULTIPLE
from lad_jax.programs import keep_programs
from lad_jax.rounding import round_up
from lad_jax.run.archive import Description, unpack
from lad_jax.run.calls import Detected, call, detect
from lad_jax.run.pictures import Picture, numbered
from lad_jax.run.result import Result
from lad_jax.types import Detections, Pictures
from lad_jax.visualize import Image

_OTHER_CALLS = re.compile(r"custom_call(?! @shape_assertion\().{0,60}")
"""A call in a program of what is no operation of XLA; programs of this package have only those that check shapes."""


@dataclass(frozen=True, eq=False)
class Exported:
    """An exported detector, which is called with pictures; see `lad_jax.load`."""

    path: Path
    description: Description
    weights: Mapping[str, np.ndarray]
    programs: Mapping[Canvas, Callable[..., dict[str, Any]]]
    """Jitted programs by canvas; see `lad_jax.run.export.program`."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes by label."""
        return self.description.class_names

    @property
    def category_ids(self) -> tuple[int, ...]:
        """Ids of the classes by label, as in the annotations of the training data."""
        return self.description.category_ids

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a str is a sequence of str, but means one picture
        self,
        pictures: Picture,
        *,
        threshold: float | None = None,
        max_detections: int | None = None,
        batch_size: int | None = None,
    ) -> Result: ...
    @overload
    def __call__(
        self,
        pictures: Sequence[Picture],
        *,
        threshold: float | None = None,
        max_detections: int | None = None,
        batch_size: int | None = None,
    ) -> list[Result]: ...
    def __call__(
        self,
        pictures: Any,
        *,
        threshold: float | None = None,
        max_detections: int | None = None,
        batch_size: int | None = None,
    ) -> Any:
        """Detect the objects of pictures, which are resized as for the evaluation of the exported run.

        For each size of batch and canvas a program is compiled when it is first needed.

        Args:
          pictures: one picture or a sequence: uint8 [height, width, 3] in RGB, a path, or one of Pillow's.
          threshold: least score of a detection; default, and at least: that of the file.
          max_detections: largest number of detections of a picture; default, and at most: that of the file.
          batch_size: number of pictures of a batch, which is filled up if need be; default: that of the file, or the
            number of pictures where that is smaller.

        Returns:
          The `Result` of one picture, or a list of those of a sequence.

        Raises:
          InputError: more is asked for than was exported; something is no such picture, or a file that cannot be
            read; a picture fits none of the canvases; or a threshold or number that nothing can have.
        """
        about = self.description

        def run(given: Sequence[Picture], size: int) -> Detected:
            self._check(threshold, max_detections)
            sides = {"short_side": about.short_side, "long_side": about.long_side}
            images = self._fitting(given)
            return detect(self._run, images, about.canvases, size, about.class_names, about.category_ids, **sides)

        return call(run, pictures, threshold, max_detections, batch_size, about.batch_size)

    def __repr__(self) -> str:
        canvases = [f"{height}x{width}" for height, width in self.description.canvases]
        return f"Exported({str(self.path)!r}, canvases: {first_few(canvases)}, classes: {first_few(self.class_names)})"

    def _check(self, threshold: float | None, max_detections: int | None) -> None:
        """Raise InputError where more is asked for than the programs give."""
        about = self.description
        if threshold is not None and threshold < about.score_threshold:
            raise InputError(
                f"threshold is {threshold}, but {self.path} has no detections below {about.score_threshold}: export "
                f"the run again, with --threshold={threshold}."
            )
        if max_detections is not None and max_detections > about.max_detections:
            raise InputError(
                f"max_detections is {max_detections}, but {self.path} gives at most {about.max_detections} of a "
                f"picture: export the run again, with --max_detections={max_detections}."
            )

    def _fitting(self, pictures: Sequence[Picture]) -> Iterator[tuple[int, Image]]:
        """Numbers and pixels of the pictures; an InputError that names the first that fits no canvas."""
        about = self.description
        for number, image in numbered(pictures):
            hw = resized_hw(np.array(image.shape[:2]), short_side=about.short_side, long_side=about.long_side)
            if not any((hw <= canvas).all() for canvas in about.canvases):
                picture = pictures[number]
                name = str(picture) if isinstance(picture, str | os.PathLike) else f"pictures[{number}]"
                raise InputError(f"{name} has {self._fits_none(image.shape[:2], hw)}")
            yield number, image

    def _fits_none(self, image_hw: tuple[int, ...], resized: np.ndarray) -> str:
        """Why a picture of a size cannot be taken, and what to do."""
        canvases = [f"{height}x{width}" for height, width in self.description.canvases]
        height, width = round_up(resized, PAD_MULTIPLE).tolist()
        return (
            f"{image_hw[0]}x{image_hw[1]} pixels (height x width), {resized[0]}x{resized[1]} once it is resized, and "
            f"fits none of the canvases of {self.path}: {', '.join(canvases)}. Export the run again, with "
            f"--canvas={','.join(canvases)},{height}x{width}."
        )

    def _run(self, pictures: Pictures) -> Detections:
        """Detections of a batch of pictures."""
        found = self.programs[pictures.canvas](self._on_device, *pictures)
        return Detections(found["boxes"], found["scores"], found["labels"], found["valid"])

    @functools.cached_property
    def _on_device(self) -> dict[str, Any]:
        return jax.device_put(dict(self.weights))


def open_exported(path: Path) -> Exported:
    """The detector in an exported file.

    Raises:
      InputError: the file is of another kind or of a newer version, cut off or damaged; or a program in it cannot be
        run by this version of jax, or calls something else than XLA's operations.
    """
    description, weights, programs = unpack(path)
    jitted = {canvas: _jitted(program, path, description) for canvas, program in programs.items()}
    keep_programs()
    return Exported(path, description, weights, jitted)


def _jitted(program: bytes, path: Path, description: Description) -> Callable[..., dict[str, Any]]:
    """A serialised program as a function."""
    try:
        exported = jax.export.deserialize(bytearray(program))
        text = exported.mlir_module()
    except Exception as error:  # jax raises many kinds
        raise InputError(
            f"{path} cannot be run by jax {jax.__version__}; it was exported with {description.jax}. Install that, or "
            f"export it again. Reason: {reason_of(error)}"
        ) from error
    if other := _OTHER_CALLS.search(text):
        raise InputError(
            f"{path} is not run: a program in it calls something else than XLA's operations: {other.group()!r}."
        )
    return jax.jit(exported.call)
