"""One picture's assignment with all that led to it, for use from Python."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from lad_jax.assign import Assigner
from lad_jax.assign.outside import assigner_from
from lad_jax.data.canvases import canvases_of_any
from lad_jax.data.transforms import clip_boxes, has_area
from lad_jax.distill import Decision, decide, known_costs, without_padding
from lad_jax.errors import InputError
from lad_jax.models import Detector
from lad_jax.options import RunOptions
from lad_jax.rounding import round_up
from lad_jax.run.build import make_model
from lad_jax.run.cohort import assigner_of, load_variables, networks_of, scene_of
from lad_jax.run.pictures import Picture, batches, image_of, pictures_of
from lad_jax.run.trained import Trained
from lad_jax.train.state import Variables
from lad_jax.types import Assignment, GroundTruth, Network, Pictures, Priors
from lad_jax.visualize import Image


@dataclass(frozen=True, eq=False)
class Explained:
    """The assignment of one picture, and all that led to it, as numpy arrays.

    Entries *E are those of a cost table: [A], the one object that each of the A priors may be chosen for, or [G, A],
    every pair of an object and a prior. Boxes are in pixels of `image`.
    """

    image: UInt8[np.ndarray, "H W 3"]
    """The picture, resized as for the evaluation, on its canvas."""
    scale: Float[np.ndarray, "2"]
    """Ratio resized / original, for x and y."""
    truth: GroundTruth
    """The G objects."""
    priors: Priors
    costs: dict[Network, Float[np.ndarray, "*E"]]
    """Costs by each network; NaN where an entry may not be chosen, or has no finite cost."""
    object: Int[np.ndarray, "*E"]
    """Index of the object that the entry's prior may be chosen for, -1 for none."""
    costs_from: tuple[Network, ...]
    """Networks whose costs assign."""
    source: Int[np.ndarray, "*E"]
    """Index in `costs_from` of the network whose cost counts, -1 for none."""
    assignment: Assignment
    alone: dict[Network, Assignment]
    """The assignment that each network's costs alone would give, but for one whose costs are all that count."""
    objects: dict[str, Float[np.ndarray, "G ..."]]
    """The assigner's reasons by object: of `paa` its mixture (`means`, `variances`, `weights`, `iterations`), of `atss`
    `mean`, `std` and `threshold_iou`, of `ota` its `supply`."""
    entries: dict[str, Float[np.ndarray, "*E"]]
    """Those by entry: of `tal` its `metric`, of `ota` its `plan`."""


def explain(
    detector: Trained,
    picture: Picture,
    boxes: Any,
    labels: Any,
    *,
    teacher: Trained | None = None,
    assigner: Assigner | Callable[..., Assigner] | None = None,
    progress: float = 1.0,
) -> Explained:
    """Which priors answer for the objects of a picture in the training of a detector, and why.

    Args:
      detector: from `lad_jax.load`; other networks of its run are read from where it was loaded.
      picture: uint8 [height, width, 3] in RGB, a path, or one of Pillow's.
      boxes: `x1 y1 x2 y2` of each object [pixels of the picture].
      labels: index of each object's class in `detector.class_names`.
      teacher: the frozen teacher of its run; default: what lies at the run's `config.teacher.path`.
      assigner: what assigns, or the function that makes it, which then gets the run's `assigner.options`; default: the
        run's, unless that is from outside of the package, which only training imports.
      progress: share of the training that is over, 0…1; few assigners depend on it.

    Raises:
      InputError: no such picture, boxes or labels; networks of the run that cannot be read; or a function that makes
        no assigner.
    """
    if not isinstance(detector, Trained):
        raise InputError("an exported file has its detections alone: load the run that it was exported from.")
    pictures = _resized(image_of(picture), detector)
    truth = _truth(boxes, labels, pictures, len(detector.class_names))
    explainer = _explainer(detector, teacher, assigner)
    decision, priors = explainer(pictures, truth, progress)
    return _explained(decision, priors, pictures, truth, explainer.costs_from)


class _Explainer:
    """The networks and the program that explain a detector's training."""

    def __init__(
        self, detector: Trained, teacher: Trained | None, assigner: Assigner | Callable[..., Assigner] | None
    ) -> None:
        options = detector.options
        if assigner is None:
            assigner = assigner_of(options)
        elif not isinstance(assigner, Assigner):
            assigner = assigner_from(assigner, options.assigner.options)
        given = {detector.network: detector, **({"teacher": _checked(teacher, detector)} if teacher else {})}
        names = networks_of(options, assigner)
        lacking = [name for name in names if name not in given]
        if lacking and detector.folder is None:
            raise InputError(f"the run's {', '.join(lacking)} cannot be read: the detector is from no checkpoint.")
        read = load_variables(detector.folder, options, lacking) if detector.folder else {}
        n_classes = len(detector.class_names)
        # A teacher from elsewhere computes in this run's precision, as in its training.
        loaded = {n: trained.model.clone(dtype=options.dtype) for n, trained in given.items()}
        models = {n: loaded.get(n) or make_model(options, n, n_classes) for n in names}
        self._variables = jax.device_put({n: given[n].variables if n in given else read[n] for n in names})
        self._program = jax.jit(functools.partial(_decide, models, options, assigner))
        self.costs_from = options.roles.costs_from

    def __call__(self, pictures: Pictures, truth: GroundTruth, progress: float) -> tuple[Decision, Priors]:
        return jax.device_get(self._program(self._variables, pictures, truth, np.float32(progress)))


_explainer = functools.lru_cache(maxsize=4)(_Explainer)
"""Read the networks; those of a detector are read once, and its program is compiled once a canvas."""


def _decide(
    models: Mapping[Network, Detector],
    options: RunOptions,
    assigner: Assigner,
    variables: Mapping[Network, Variables],
    pictures: Pictures,
    truth: GroundTruth,
    progress: Float[Array, ""],
) -> tuple[Decision, Priors]:
    """The decision about one picture, a batch of its own, and its priors."""
    predictions: Any = {n: model.apply(variables[n], pictures.images, pictures.image_hw) for n, model in models.items()}
    scene = scene_of(options, pictures.canvas, pictures.image_hw[0], truth, progress)
    one = jax.tree.map(lambda x: x[0], predictions)
    return decide(one, scene, method=options.roles, assigner=assigner, switch=options.switch), scene.priors


def _checked(teacher: Trained, detector: Trained) -> Trained:
    """A teacher that fits the detector's run."""
    if teacher.class_names != detector.class_names:
        raise InputError("the teacher has other classes than the detector, or the same in another order.")
    theirs, ours = teacher.model.options, detector.model.options
    if (theirs.strides, theirs.anchor_scale) != (ours.strides, ours.anchor_scale):
        raise InputError("the teacher has other priors: another first_level, n_levels or anchor_scale.")
    return teacher


def _resized(image: Image, detector: Trained) -> Pictures:
    """The picture as the detector takes it in an evaluation, on the canvas that its call puts it on."""
    data = detector.options.data
    sides = {"short_side": data.short_side, "long_side": data.long_side}
    canvases = canvases_of_any(**sides, pad_multiple=data.pad_multiple)
    ((canvas, _),) = batches([(0, image)], canvases, 1, **sides)
    return pictures_of([image], 1, canvas, **sides)


def _truth(boxes: Any, labels: Any, pictures: Pictures, n_classes: int) -> GroundTruth:
    """The objects on the canvas, padded as in training, so that few programs serve pictures of any number of objects.

    Raises:
      InputError: they are no boxes or no labels, or a box has no area in the picture; names the first such one.
    """
    given, classes = np.asarray(boxes, np.float32), np.asarray(labels, np.int64).reshape(-1)
    if given.size and (given.ndim != 2 or given.shape[1] != 4):
        raise InputError(f"boxes have the shape [n, 4], but these have {list(given.shape)}.")
    given = given.reshape(-1, 4)
    if len(given) != len(classes):
        raise InputError(f"there are {len(given)} boxes, but {len(classes)} labels.")
    if (wrong := np.flatnonzero((classes < 0) | (classes >= n_classes))).size:
        raise InputError(f"labels[{wrong[0]}] is {classes[wrong[0]]}, but the classes are 0 to {n_classes - 1}.")
    resized = clip_boxes(given * np.tile(pictures.scale[0], 2)[None], np.asarray(pictures.image_hw[0]))
    if (wrong := np.flatnonzero(~(np.isfinite(resized).all(axis=1) & has_area(resized)))).size:
        raise InputError(
            f"boxes[{wrong[0]}] is {given[wrong[0]].tolist()}, but a box is x1, y1, x2, y2 in pixels of the picture, "
            "with an area in it."
        )
    padding = round_up(max(len(classes), 1), 8) - len(classes)
    rows: Any = np.pad(resized, ((0, padding), (0, 0)))
    index: Any = np.pad(classes, (0, padding)).astype(np.int32)
    mask: Any = np.arange(len(index)) < len(classes)
    return GroundTruth(rows, index, mask, np.zeros_like(mask))


def _explained(
    decision: Decision, priors: Priors, pictures: Pictures, truth: GroundTruth, costs_from: tuple[Network, ...]
) -> Explained:
    """The noun of a decision, without the rows that only pad."""
    n = int(truth.mask.sum())
    decision = without_padding(decision, n)
    tables, (assignment, explanation) = decision.tables, decision.verdict
    objects: Any = explanation.objects
    entries: Any = explanation.entries
    return Explained(
        image=np.asarray(pictures.images[0]),
        scale=np.asarray(pictures.scale[0]),
        truth=jax.tree.map(lambda x: x[:n], truth),
        priors=priors,
        costs={name: known_costs(table) for name, table in tables.items()},
        object=np.asarray(tables[costs_from[0]].object),
        costs_from=costs_from,
        source=np.asarray(decision.source),
        assignment=assignment,
        alone={name: verdict.assignment for name, verdict in decision.alone.items()},
        objects=objects,
        entries=entries,
    )
