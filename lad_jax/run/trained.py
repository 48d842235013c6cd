"""A trained network, called with pictures."""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import jax

from lad_jax.config import from_config
from lad_jax.data.canvases import canvases_of_any
from lad_jax.errors import first_few
from lad_jax.evaluation.detector import make_detector
from lad_jax.evaluation.postprocess import PostprocessOptions
from lad_jax.models import Detector
from lad_jax.models.backbones import check_canvases
from lad_jax.options import RunOptions
from lad_jax.programs import keep_programs
from lad_jax.run import checkpoint
from lad_jax.run.build import make_model
from lad_jax.run.calls import Detected, call, detect
from lad_jax.run.pictures import Picture, numbered
from lad_jax.run.result import Result
from lad_jax.run.sources import local_checkpoint
from lad_jax.train.state import Variables
from lad_jax.types import Detections, Network, Pictures
from lad_jax.visualize import Image


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network, which is called with pictures; see `lad_jax.load`."""

    model: Detector
    variables: Variables
    """Parameters and statistics of the network, numpy arrays."""
    options: RunOptions
    """Options of the run that trained the network."""
    class_names: tuple[str, ...]
    """Names of the classes by label."""
    category_ids: tuple[int, ...]
    """Ids of the classes by label, as in the annotations of the training data."""
    folder: Path | None = None
    """Folder of the checkpoint that the network is from; None: it is from none."""
    network: Network = "student"
    """Name of the network in its run."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a str is a sequence of str, but means one picture
        self,
        pictures: Picture,
        *,
        threshold: float | None = None,
        max_detections: int | None = None,
        postprocess: PostprocessOptions | None = None,
        batch_size: int | None = None,
    ) -> Result: ...
    @overload
    def __call__(
        self,
        pictures: Sequence[Picture],
        *,
        threshold: float | None = None,
        max_detections: int | None = None,
        postprocess: PostprocessOptions | None = None,
        batch_size: int | None = None,
    ) -> list[Result]: ...
    def __call__(
        self,
        pictures: Any,
        *,
        threshold: float | None = None,
        max_detections: int | None = None,
        postprocess: PostprocessOptions | None = None,
        batch_size: int | None = None,
    ) -> Any:
        """Detect the objects of pictures, which are resized as for the evaluation of the run.

        Pictures of like shape share a batch, on one of at most five canvases. For each size of batch and canvas a
        program is compiled when it is first needed.

        Args:
          pictures: one picture or a sequence: uint8 [height, width, 3] in RGB, a path, or one of Pillow's.
          threshold: least score of a detection; default: that of `postprocess`.
          max_detections: largest number of detections of a picture; default: that of `postprocess`.
          postprocess: how predictions become detections; default: the run's `evaluation.postprocess`.
          batch_size: number of pictures of a batch, which is filled up if need be; default: the run's
            `evaluation.batch_size`, or the number of pictures where that is smaller.

        Returns:
          The `Result` of one picture, or a list of those of a sequence.

        Raises:
          InputError: something is no such picture, or a file that cannot be read; pictures are too small for the
            network; or a threshold or number that nothing can have.
        """
        evaluation = self.options.evaluation

        def run(given: Sequence[Picture], size: int) -> Detected:
            options = widened(postprocess or evaluation.postprocess, threshold, max_detections)
            return self.detect(numbered(given), size, options)

        return call(run, pictures, threshold, max_detections, batch_size, evaluation.batch_size)

    def detect(self, images: Iterable[tuple[int, Image]], batch_size: int, postprocess: PostprocessOptions) -> Detected:
        """Numbered RGB pictures with their detections, as their batches are full: in another order than given.

        Args:
          images: numbers and pictures, taken one by one as they are needed.
          batch_size, postprocess: see the call.

        Raises:
          InputError: pictures are too small for the network.
        """
        data, detector = self.options.data, _detector(self.model, postprocess)
        sides = {"short_side": data.short_side, "long_side": data.long_side}
        canvases = canvases_of_any(**sides, pad_multiple=data.pad_multiple)

        def program(batch: Pictures) -> Detections:
            check_canvases([batch.canvas], self.model.options.backbone, "backbone")
            return detector(self._on_device, batch)

        return detect(program, images, canvases, batch_size, self.class_names, self.category_ids, **sides)

    def __repr__(self) -> str:
        size = sum(x.size for x in jax.tree.leaves(self.variables["params"]))
        return (
            f"Trained({self.options.method!r}, {size / 1e6:.2f} M parameters, classes: {first_few(self.class_names)})"
        )

    @functools.cached_property
    def _on_device(self) -> Variables:
        return jax.device_put(self.variables)


def load(source: str | Path, network: Network | None = None) -> Trained:
    """A trained network.

    Args:
      source: see `local_checkpoint`.
      network: `student`, `teacher` or a peer; default: `evaluation.network` of the run.

    Raises:
      InputError: no checkpoint there, or one that cannot be read; or see `local_checkpoint`.
    """
    folder = local_checkpoint(source, "the source")
    meta = checkpoint.read_meta(folder)
    options = from_config(RunOptions, meta.config)
    name: Network = network or options.evaluation.network
    variables = checkpoint.read_variables(folder, name)
    model = make_model(options, name, len(meta.class_names))
    keep_programs()
    return Trained(model, variables, options, meta.class_names, meta.category_ids, folder, name)


def widened(options: PostprocessOptions, threshold: float | None, max_detections: int | None) -> PostprocessOptions:
    """Options that let through what is asked for; where they do already they are the same, and so is their program."""
    return replace(
        options,
        score_threshold=min(options.score_threshold, 1.0 if threshold is None else threshold),
        max_detections=max(options.max_detections, max_detections or 0),
    )


_detector = functools.lru_cache(maxsize=16)(make_detector)
"""Make a detector; networks of one architecture share it, and its compiled programs."""
