"""Whether a device computes what a CPU computes: assignment, training steps and detection, from the same inputs.

    JAX_PLATFORMS=cpu python -m benchmarks.gpu.smoke --make=expected.npz
    python -m benchmarks.gpu.smoke --check=expected.npz

Narrow networks in float32, products in full precision, so that only the order of summation differs. Inputs and weights
are numpy's, the same everywhere. A part fails where an array of its results is not the CPU's (`differences`).
"""

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from benchmarks._inputs import random_batch
from benchmarks._measure import machine, print_table, write_json
from lad_jax import RunOptions, boxes
from lad_jax.assign import AssignerOptions, make_assigner
from lad_jax.evaluation.detector import make_detector
from lad_jax.mesh import MeshOptions, make_mesh
from lad_jax.models import Detector, ModelOptions, ResNetOptions
from lad_jax.options import TeacherOptions
from lad_jax.priors import make_priors, within
from lad_jax.run.build import make_model, make_models, make_train_step
from lad_jax.train.optimizer import OptimizerOptions
from lad_jax.train.state import Variables, init_state, init_variables
from lad_jax.types import Batch, Predictions, Scene

FLAGS = flags.FLAGS
flags.DEFINE_string("make", "", "File to write the results to, on a CPU.")
flags.DEFINE_string("check", "", "File of a CPU's results, to compare with.")
flags.DEFINE_integer("height", 224, "Canvas height, a multiple of 32.")
flags.DEFINE_integer("width", 320, "Canvas width, a multiple of 32.")
flags.DEFINE_string("json", "", "File to write the differences to.")

CLASSES, OBJECTS = 7, 11
FLOATS, WHOLE, SHARE = 1e-3, 2, 0.01
"""A part fails where floats are off by more, |x - y| / |x| over an array, or where more whole numbers differ, or a
larger share of an array's. An entry at the edge of a choice may fall to either side: one prior of another object, two
detections in turn."""
Arrays = dict[str, np.ndarray]


def pictures() -> Batch:
    """Four pictures of different sizes on one canvas."""
    height, width = canvas = FLAGS.height, FLAGS.width
    batch = random_batch(canvas, n_images=4, n_objects=OBJECTS, n_classes=CLASSES)
    hw = np.array([canvas, (height - 24, width), (height, width - 30), (height - 30, width - 30)], np.int32)
    return batch._replace(pictures=batch.pictures._replace(image_hw=hw))


def model_of(depth: int) -> ModelOptions:
    """A narrow network with all that the paper's has."""
    return ModelOptions(backbone=ResNetOptions(depth=depth, width=8), channels=32, tower_convs=1)


def weights(model: Detector, seed: int) -> Variables:
    """Random variables with which scores, boxes and statistics vary as after a training."""
    rng = np.random.default_rng(seed)

    def draw(path: Any, x: Any) -> Any:
        noise, name = rng.normal(size=x.shape).astype(np.float32), path[-1].key
        if name == "kernel":
            return noise * np.sqrt(2 / np.prod(x.shape[:-1]), dtype=np.float32)
        if name in ("bias", "mean"):
            return np.float32(0.02) * noise - np.float32(3 * (path[-2].key == "atss_cls"))
        return 1 + np.float32(0.2) * np.tanh(noise)

    return jax.tree_util.tree_map_with_path(draw, jax.eval_shape(lambda: init_variables(model, 0)))


def assignment() -> Any:
    """PAA's costs and partition, by random predictions."""
    rng, batch, geometry = np.random.default_rng(5), jax.device_put(pictures()), model_of(10)
    priors = make_priors(batch.canvas, geometry.strides, geometry.anchor_scale)
    shape = len(batch.valid), len(priors.valid)
    logits, deltas = (rng.normal(size=(*shape, n)).astype(np.float32) for n in (CLASSES, 4))
    predictions = Predictions(
        class_log_p=jax.nn.log_sigmoid(logits - 3),
        class_log_not_p=jax.nn.log_sigmoid(3 - logits),
        box_deltas=jnp.asarray(deltas),
        boxes=boxes.decode(jnp.asarray(priors.boxes)[None], jnp.asarray(deltas)),
        quality_logit=jnp.zeros(shape),
    )
    assigner = make_assigner(AssignerOptions())

    @jax.jit
    @jax.vmap
    def assign(predictions: Any, truth: Any, image_hw: Any) -> Any:
        scene = Scene(within(priors, image_hw), truth, image_hw, jnp.zeros(()))
        table = assigner.cost(scene, predictions)
        found = assigner.partition(table, scene)
        return {"cost": table.cost, "candidate": table.object, "object": found.object, "weight": found.weight}

    return assign(predictions, batch.truth, batch.pictures.image_hw)


def step(method: Any) -> Any:
    """What a first step reports, and the momentum after it, which is the gradient with the weights' decay."""
    optimizer = OptimizerOptions(decay_epochs=())  # the first step is before any
    teacher = TeacherOptions(model=model_of(14))
    options = RunOptions(method=method, model=model_of(10), teacher=teacher, optimizer=optimizer)
    roles, models = options.roles, make_models(options, CLASSES)
    variables = {name: weights(model, seed) for seed, (name, model) in enumerate(models.items())}
    train_step = make_train_step(options, models, steps_per_epoch=100, mesh=make_mesh(MeshOptions(data=1), {}))
    state = init_state({name: variables[name] for name in roles.trained}, train_step.optimizer, seed=0, ema=False)
    frozen = {name: variables[name] for name in roles.frozen}
    state, output = jax.jit(train_step.step)(state, frozen, jax.device_put(pictures()))
    scalars = {name: x for name, x in output.scalars.items() if name != "partition_iterations"}
    return {"scalars": scalars, "momentum": state.optimizer}


def detection() -> Any:
    """The detections of a network, with NMS and voting."""
    options = RunOptions(model=model_of(10))
    model = make_model(options, "student", CLASSES)
    finish = replace(options.evaluation.postprocess, max_detections=50)
    return make_detector(model, finish)(weights(model, 0), jax.device_put(pictures().pictures))._asdict()


PARTS: dict[str, Callable[[], Any]] = {
    "assignment": assignment,
    "PAA step": partial(step, "plain"),
    "LAD step": partial(step, "lad"),
    "detection": detection,
    "CoLAD step": partial(step, "colad"),
}
flags.DEFINE_multi_enum("parts", list(PARTS), list(PARTS), "What is compared; given once for each.")


def arrays_of(part: str) -> Arrays:
    """The results of a part, by name."""
    found = jax.tree_util.tree_flatten_with_path(PARTS[part]())[0]
    return {f"{part}{jax.tree_util.keystr(path)}": np.asarray(x) for path, x in found}


def differences(expected: Arrays, found: Arrays) -> tuple[dict[str, float], dict[str, int]]:
    """Of each array of floats |x - y| / |x| (not a number where only one of them is finite, or it is missing), and of
    each of whole numbers how many differ."""
    floats, whole = {}, {}
    for name, x in expected.items():
        y = found.get(name, np.full(x.shape, np.nan))
        if x.dtype.kind in "biu":
            whole[name] = int(np.sum(x != y))
        else:
            x, y = np.float64(x), np.float64(y)
            floats[name] = float(np.linalg.norm(x - y) / max(np.linalg.norm(x), 1e-12))
    return floats, whole


def check(part: str, expected: Arrays) -> dict[str, Any]:
    """A row of the table: what differs most."""
    since = time.perf_counter()
    floats, whole = differences(expected, arrays_of(part))
    bad = [name for name, x in floats.items() if not x <= FLOATS]
    bad += [name for name, n in whole.items() if n > min(WHOLE, SHARE * expected[name].size)]
    return {
        "part": part,
        "arrays": len(expected),
        "largest difference": max(floats.values(), key=lambda x: (np.isnan(x), x)),
        "median difference": float(np.median(list(floats.values()))),
        "most whole numbers that differ": max(whole.values(), default=None),
        "arrays that differ": len(bad),
        "the first": bad[0] if bad else None,
        "s": time.perf_counter() - since,
    }


def main(_: list[str]) -> None:
    jax.config.update("jax_default_matmul_precision", "highest")
    if FLAGS.make:
        np.savez_compressed(FLAGS.make, **{name: x for part in FLAGS.parts for name, x in arrays_of(part).items()})
    if not FLAGS.check:
        return
    known, rows = dict(np.load(FLAGS.check)), []
    for part in FLAGS.parts:
        rows.append(check(part, {name: x for name, x in known.items() if name.startswith(part)}))
        # Compiling takes long: what is known is seen even where the check is cut off.
        write_json(FLAGS.json, {"title": machine(), "rows": rows})
    print(f"{machine()}, against {FLAGS.check}\n")
    print_table(rows)
    if any(row["arrays that differ"] for row in rows):
        sys.exit("error: this device computes something else than the CPU did")


if __name__ == "__main__":
    app.run(main)
