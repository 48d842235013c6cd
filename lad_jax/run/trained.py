"""A trained network, called with pictures."""

import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import jax
import numpy as np
from jaxtyping import Float, Int, Shaped

from lad_jax.config import from_config
from lad_jax.data import DataOptions, read_picture
from lad_jax.data.canvases import Canvas, canvases_of_any, smallest_canvas
from lad_jax.data.transforms import resize, resized_hw
from lad_jax.errors import InputError, first_few
from lad_jax.evaluation.detector import coco_results, make_detector, valid_rows
from lad_jax.evaluation.postprocess import PostprocessOptions
from lad_jax.models import Detector
from lad_jax.models.backbones import check_canvases
from lad_jax.options import RunOptions
from lad_jax.run import checkpoint
from lad_jax.train.state import Variables
from lad_jax.types import Network, Pictures
from lad_jax.visualize import Image

Picture = np.ndarray | str | Path
"""A picture: pixels, uint8 [height, width, 3] in RGB, or the path of a file."""


@dataclass(frozen=True, eq=False)
class Result:
    """Detections of one picture, by falling score, as numpy arrays."""

    boxes: Float[np.ndarray, "n 4"]
    """Boxes `x1 y1 x2 y2`, in pixels of the picture as it was given."""
    scores: Float[np.ndarray, " n"]
    """Scores, 0…1."""
    labels: Int[np.ndarray, " n"]
    """Index of each class in the network's `class_names`."""
    names: Shaped[np.ndarray, " n"]
    """Name of each class."""
    category_ids: Shaped[np.ndarray, " n"]
    """Id of each class in the annotations of the training data; Python's integers where int64 does not hold them."""

    def __len__(self) -> int:
        """Number of detections."""
        return len(self.scores)

    def at_least(self, score: float) -> "Result":
        """The detections of at least this score."""
        kept = self.scores >= score
        return Result(self.boxes[kept], self.scores[kept], self.labels[kept], self.names[kept], self.category_ids[kept])

    def to_coco(self) -> list[dict[str, Any]]:
        """The detections in COCO's results format, to which the picture's `image_id` has to be added."""
        return coco_results(self.boxes, self.scores, self.category_ids.tolist())


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

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a str is a sequence of str, but means one picture
        self, pictures: Picture, *, postprocess: PostprocessOptions | None = None, batch_size: int | None = None
    ) -> Result: ...
    @overload
    def __call__(
        self,
        pictures: Sequence[Picture],
        *,
        postprocess: PostprocessOptions | None = None,
        batch_size: int | None = None,
    ) -> list[Result]: ...
    def __call__(
        self, pictures: Any, *, postprocess: PostprocessOptions | None = None, batch_size: int | None = None
    ) -> Any:
        """Detect the objects of pictures, which are resized as for the evaluation of the run.

        Pictures of like shape share a batch, on one of at most five canvases. For each size of batch and canvas a
        program is compiled when it is first needed.

        Args:
          pictures: one picture or a sequence: uint8 [height, width, 3] in RGB, or a path.
          postprocess: how predictions become detections; default: the run's `evaluation.postprocess`.
          batch_size: number of pictures of a batch, which is filled up if need be; default: the run's
            `evaluation.batch_size`, or the number of pictures where that is smaller.

        Returns:
          The `Result` of one picture, or a list of those of a sequence.

        Raises:
          InputError: something is no such picture, or a file that cannot be read; or pictures are too small for the
            network.
        """
        if not _is_sequence(pictures):
            return self([pictures], postprocess=postprocess, batch_size=batch_size)[0]
        size = batch_size or max(1, min(self.options.evaluation.batch_size, len(pictures)))
        images = enumerate(map(_image_of, pictures))
        found = {number: result for number, _, result in self.detect(images, size, postprocess)}
        return [found[number] for number in range(len(found))]

    def detect(
        self, images: Iterable[tuple[int, Image]], batch_size: int, postprocess: PostprocessOptions | None = None
    ) -> Iterator[tuple[int, Image, Result]]:
        """Numbered RGB pictures with their detections, as their batches are full: in another order than given.

        Args:
          images: numbers and pictures, taken one by one as they are needed.
          batch_size, postprocess: see the call.

        Raises:
          InputError: pictures are too small for the network.
        """
        detector = _detector(self.model, postprocess or self.options.evaluation.postprocess)
        for canvas, members in _batches(images, self.options.data, batch_size):
            check_canvases([canvas], self.model.options.backbone, "backbone")
            batch = pictures_of([image for _, image in members], self.options.data, batch_size, canvas)
            found = jax.device_get(detector(self._on_device, jax.device_put(batch)))
            for row, (number, image) in enumerate(members):
                yield number, image, self._result(jax.tree.map(lambda x, row=row: x[row], found))

    def __repr__(self) -> str:
        size = sum(x.size for x in jax.tree.leaves(self.variables["params"]))
        return (
            f"Trained({self.options.method!r}, {size / 1e6:.2f} M parameters, classes: {first_few(self.class_names)})"
        )

    @functools.cached_property
    def _on_device(self) -> Variables:
        return jax.device_put(self.variables)

    def _result(self, found: Any) -> Result:
        """The detections of one picture with names."""
        boxes, scores, labels = valid_rows(found)
        fits = all(abs(number) < 2**63 for number in self.category_ids)
        names, ids = np.array(self.class_names), np.array(self.category_ids, np.int64 if fits else object)
        return Result(boxes, scores, labels, names[labels], ids[labels])


def load(workdir: str | Path, network: Network | None = None) -> Trained:
    """A trained network, for use from Python: `load("runs/demo/lad")("photo.jpg").boxes`.

    Args:
      workdir: a run's workdir (the best checkpoint by AP is taken, else the newest) or a checkpoint's folder.
      network: `student`, `teacher` or a peer; default: `evaluation.network` of the run.

    Raises:
      InputError: no checkpoint there, or one that cannot be read.
    """
    folder = checkpoint.find(workdir)
    meta = checkpoint.read_meta(folder)
    options = from_config(RunOptions, meta.config)
    name: Network = network or options.evaluation.network
    model = Detector(options.model_of(name), len(meta.class_names))
    variables = checkpoint.read_variables(folder, name)
    return Trained(model, variables, options, meta.class_names, meta.category_ids)


def _batches(
    images: Iterable[tuple[int, Image]], options: DataOptions, size: int
) -> Iterator[tuple[Canvas, list[tuple[int, Image]]]]:
    """Numbered pictures in batches of `size`, each of those of one canvas; at the end what is left for each canvas."""
    sides = {"short_side": options.short_side, "long_side": options.long_side}
    canvases = canvases_of_any(**sides, pad_multiple=options.pad_multiple)
    waiting: dict[Canvas, list[tuple[int, Image]]] = {canvas: [] for canvas in canvases}
    for number, image in images:
        hw = resized_hw(np.array([image.shape[:2]]), **sides)
        canvas = canvases[smallest_canvas(hw, canvases)[0]]
        waiting[canvas].append((number, image))
        if len(waiting[canvas]) == size:
            yield canvas, waiting[canvas]
            waiting[canvas] = []
    yield from ((canvas, members) for canvas, members in waiting.items() if members)


def pictures_of(images: Sequence[Image], options: DataOptions, size: int, canvas: Canvas) -> Pictures:
    """Pictures, resized as for evaluation, on a canvas that holds them.

    Args:
      images: RGB pictures, at most `size`.
      options: bounds of the resize.
      size: number of rows; those beyond the pictures are one black pixel.
      canvas: height and width of the rows [pixels].
    """
    original_hw, image_hw = np.ones((2, size, 2), np.int32)
    padded: Any = np.zeros((size, *canvas, 3), np.uint8)
    for row, image in enumerate(images):
        original_hw[row] = image.shape[:2]
        image_hw[row] = resized_hw(original_hw[row], short_side=options.short_side, long_side=options.long_side)
        height, width = image_hw[row]
        padded[row, :height, :width] = resize(image, image_hw[row])
    hw: Any = image_hw
    scale: Any = (image_hw / original_hw)[:, ::-1].astype(np.float32)
    return Pictures(padded, hw, scale)


_detector = functools.lru_cache(maxsize=16)(make_detector)
"""Make a detector; networks of one architecture share it, and its compiled programs."""


def _is_sequence(pictures: Any) -> bool:
    if isinstance(pictures, np.ndarray):
        return pictures.ndim == 4
    return isinstance(pictures, Sequence) and not isinstance(pictures, str)


def _image_of(picture: Any) -> Image:
    """The pixels of a picture or of a picture file.

    Raises:
      InputError: it is neither, or a file that cannot be read.
    """
    if isinstance(picture, str | os.PathLike):
        return read_picture(Path(picture))
    if not isinstance(picture, np.ndarray):
        kind = f"{type(picture).__module__}.{type(picture).__qualname__}"
        raise InputError(f"a picture is a numpy array or a path, but this is a {kind}: try numpy.asarray(picture).")
    if picture.dtype != np.uint8:
        raise InputError(
            f"a picture's pixels are uint8, 0…255, but these are {picture.dtype}: convert them (those in 0…1 by "
            "`(255 * picture).round().astype(numpy.uint8)`)."
        )
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
        raise InputError(
            f"a picture has the shape [height, width, 3], RGB, but this one has {list(picture.shape)}: repeat gray "
            "three times (`numpy.stack(3 * [gray], axis=-1)`), drop alpha (`picture[..., :3]`), put channels last "
            "(`picture.transpose(1, 2, 0)`)."
        )
    return picture
