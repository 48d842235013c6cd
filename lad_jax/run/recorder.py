"""The recorder of a run: at each evaluation it notes, for a few pictures, who is responsible for their objects and why.

Predictions of the trained networks are those of the evaluation itself. A frozen network predicts once.
"""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from lad_jax import hosts
from lad_jax.assign import Assigner
from lad_jax.data import DataSet, make_eval_plan
from lad_jax.data.canvases import Canvas
from lad_jax.distill import Decision, decide
from lad_jax.evaluation.errors import find_errors, to_json
from lad_jax.evaluation.evaluator import Evaluated
from lad_jax.files import write_whole
from lad_jax.mesh import share
from lad_jax.models import Detector
from lad_jax.options import RunOptions
from lad_jax.programs import Job, compiling, shapes_of
from lad_jax.run import recording
from lad_jax.run.cohort import networks_of, scene_of
from lad_jax.run.recorded import as_jpegs, decision_arrays, detection_arrays
from lad_jax.run.scenes import RecordedScene, plan_to_record, read_scenes, scene_header
from lad_jax.train.state import Variables, init_variables
from lad_jax.types import GroundTruth, Network, Predictions

JPEG_BYTES = 2_500_000
"""Most bytes of all recorded pictures, if their quality can be lowered to that."""


class Recorder:
    """The recorder of a run, which observes each evaluation and then writes what it has seen; see `recording`."""

    def __init__(
        self,
        options: RunOptions,
        workdir: Path,
        dataset: DataSet,
        assigner: Assigner,
        models: Mapping[Network, Detector],
        frozen: Mapping[Network, Variables],
        mesh: Mesh,
        steps_per_epoch: int,
    ) -> None:
        """
        Args:
          options: options of the run.
          workdir: folder of the run.
          dataset: the pictures that are evaluated.
          assigner: the one that the options name.
          models: every network of the run.
          frozen: variables of those that are not trained, on the devices.
          mesh: the devices of the evaluation.
          steps_per_epoch: number of steps of an epoch.
        """
        self._options, self._workdir, self._dataset, self._models = options, workdir, dataset, models
        self._assigner, self._steps_per_epoch = assigner, steps_per_epoch
        plan = make_eval_plan(dataset, options.data, batch_size=options.evaluation.batch_size)
        self._plan = plan_to_record(dataset, plan, options.report.pictures)
        chosen = np.concatenate(self._plan.groups)
        batches = enumerate(plan.in_order())
        self._batches = {n: batch for n, batch in batches if np.isin(batch.positions, chosen).any()}
        self._positions = frozenset(chosen.tolist())
        self._networks = networks_of(options, assigner)
        self._frozen = {name: frozen[name] for name in self._networks if name in frozen}
        self._to_every_process = share(mesh)
        self._programs: dict[tuple[Network, Canvas], Any] = {}
        self._seen: dict[tuple[Network, int], Predictions] = {}

    @property
    def n_batches(self) -> int:
        """Number of batches of an evaluation, from the first, that have all recorded pictures."""
        return max(self._batches, default=-1) + 1

    def observe(self, network: Network, number: int, predictions: Predictions) -> None:
        """Keep the predictions for recorded pictures. All processes must call it.

        Args:
          network: whose predictions these are.
          number: that of the batch, from 0.
          predictions: for the batch, on the devices.
        """
        if number not in self._batches or network not in self._networks:
            return
        shared = self._to_every_process(predictions)
        if hosts.is_writer():
            whole = jax.tree.map(lambda x: np.asarray(x.addressable_data(0)), shared)
            for row, position in enumerate(self._batches[number].positions.tolist()):
                if position in self._positions:
                    self._seen[network, position] = jax.tree.map(lambda x, row=row: x[row].copy(), whole)

    def record(self, step: int, detections: list[dict[str, Any]]) -> None:
        """Write what was observed in the evaluation after a step, with the detections of `evaluation.network`."""
        if not self._batches or not hosts.is_writer():
            return
        with compiling(self.jobs()):
            scenes = self._scenes
        epoch = step / self._steps_per_epoch
        found: dict[Any, list[dict[str, Any]]] = {}
        for detection in detections:
            found.setdefault(detection["image_id"], []).append(detection)
        labels = {category: label for label, category in enumerate(self._dataset.category_ids)}
        pictures, ids = [], [self._dataset.records[scene.position].id for scene in scenes]
        for scene, number in zip(scenes, ids, strict=True):
            decision = self._decide(scene, epoch / self._options.train.epochs)
            arrays = decision_arrays(decision, scene.n_objects, self._options.roles.costs_from)
            pictures.append(arrays | detection_arrays(found.get(number, []), labels, scene.scale))
        self._seen = {key: kept for key, kept in self._seen.items() if key[0] in self._frozen}
        header = {"ids": ids, "step": step, "epoch": round(epoch, 3)}
        recording.write(recording.step_file(self._workdir, step), header, pictures)

    def record_errors(self, evaluated: Evaluated) -> None:
        """Write what is wrong with the detections of a whole evaluation."""
        if not self._batches or not hosts.is_writer():
            return
        dataset, most = self._dataset, self._options.evaluation.postprocess.counted
        names, ids = dataset.class_names, dataset.category_ids
        errors = find_errors(dataset.ground_truth(), evaluated.detections, names, ids, most=most)
        shown = [dataset.records[scene.position].id for scene in self._scenes]
        text = json.dumps(to_json(errors, evaluated.metrics, shown), allow_nan=False)
        write_whole(recording.errors_file(self._workdir), text)

    def jobs(self) -> list[Job]:
        """Compilations that have not been done."""
        canvases = sorted({planned.canvas for planned in self._batches.values()}) if hosts.is_writer() else []
        keys = [(name, canvas) for canvas in canvases for name in (*self._frozen, "costs")]
        return [
            Job(f"recording of the {name}, canvas {h}x{w}", functools.partial(self._compile, name, (h, w)))
            for name, (h, w) in keys
            if (name, (h, w)) not in self._programs
        ]

    def _compile(self, name: Network, canvas: Canvas) -> Any:
        """Compile the predictions of a frozen network for one picture; or by the name `costs` the decision about it."""
        picture = _shape((1, *canvas, 3), np.uint8), _shape((1, 2), np.int32)
        if name in self._frozen:
            lowered = jax.jit(self._models[name].apply).lower(shapes_of(_local(self._frozen[name])), *picture)
        else:
            n = self._plan.max_objects
            truth: Any = _shape((n, 4), np.float32), _shape((n,), np.int32), _shape((n,), bool), _shape((n,), bool)
            predictions = {n: _predicted(self._models[n], *picture) for n in self._networks}
            function = jax.jit(functools.partial(_decide, self._options, self._assigner, canvas))
            lowered = function.lower(predictions, GroundTruth(*truth), _shape((2,), np.int32), _shape((), np.float32))
        self._programs[name, canvas] = program = lowered.compile()
        return program

    def _decide(self, scene: RecordedScene, progress: float) -> Decision:
        """The decision about a recorded picture, on the host."""
        predictions = {name: self._predictions(name, scene) for name in self._networks}
        program = self._programs["costs", scene.canvas]
        return jax.device_get(program(predictions, scene.truth, scene.image_hw, np.float32(progress)))

    def _predictions(self, name: Network, scene: RecordedScene) -> Predictions:
        """Predictions of a network for a picture; a frozen one's are computed the first time."""
        key = name, scene.position
        if key not in self._seen:
            program = self._programs[name, scene.canvas]
            found = program(_local(self._frozen[name]), scene.on_canvas[None], scene.image_hw[None])
            self._seen[key] = jax.tree.map(lambda x: np.asarray(x)[0], found)
        return self._seen[key]

    @functools.cached_property
    def _scenes(self) -> list[RecordedScene]:
        """The recorded pictures that can be read, which are written when they are first read."""
        scenes = list(read_scenes(self._dataset, self._plan, self._options.data))
        options = self._options
        header = {
            **scene_header(scenes, self._dataset),
            "strides": options.model.strides,
            "anchor_scale": options.model.anchor_scale,
            "method": options.method,
            "assigner": options.assigner.name,
            "networks": self._networks,
            "costs_from": options.roles.costs_from,
            "evaluated": options.evaluation.network,
        }
        jpegs = as_jpegs([scene.image for scene in scenes], JPEG_BYTES)
        pictures = [scene.arrays | {"jpeg": jpeg} for scene, jpeg in zip(scenes, jpegs, strict=True)]
        recording.write(recording.scenes_file(self._workdir), header, pictures)
        return scenes


def _decide(
    options: RunOptions,
    assigner: Assigner,
    canvas: Canvas,
    predictions: Mapping[Network, Predictions],
    truth: GroundTruth,
    image_hw: Int[Array, "2"],
    progress: Float[Array, ""],
) -> Decision:
    scene = scene_of(options, canvas, image_hw, truth, progress)
    return decide(predictions, scene, method=options.roles, assigner=assigner, switch=options.switch)


def _predicted(model: Detector, *picture: jax.ShapeDtypeStruct) -> Predictions:
    """Shapes of a network's predictions for one picture."""
    variables = jax.eval_shape(functools.partial(init_variables, model, 0))
    predictions: Any = jax.eval_shape(model.apply, variables, *picture)
    return jax.tree.map(lambda x: _shape(x.shape[1:], x.dtype), predictions)


def _shape(shape: tuple[int, ...], dtype: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


def _local(variables: Variables) -> Variables:
    """This process's copy of variables that are on every device."""
    return jax.tree.map(lambda x: x.addressable_data(0), variables)
