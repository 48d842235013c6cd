"""Time and memory of every assigner, beside its literal numpy twin.

    python -m benchmarks.assign
    python -m benchmarks.assign --assigners=ota,tal --objects=7,100 --json=assign.json

The pictures are random, the predictions like a half-trained network's. Times are medians in milliseconds a picture;
temporary memory is in MB a picture, and in arrays of [objects, priors]. Open loops are those whose number of turns is
not known beforehand: on a GPU the host is asked before each turn whether they end.
"""

import re
import time

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks._assignment import STRIDES, arguments, inputs, report
from benchmarks._measure import median_ms
from benchmarks.paa import measure_literal
from lad_jax.assign import ASSIGNERS, AssignerOptions, make_assigner
from lad_jax.types import Scene
from tests.reference.assigners import TWINS
from tests.reference.picture import make_picture


def measure_assigner(name, data, runs, with_literal):
    """Time and memory of an assigner, number of its loops that ask the host, and the literal twin's time."""
    priors, _, predictions, truth = data
    assigner = make_assigner(AssignerOptions(name=name))
    hw = jnp.array([priors.levels.shapes[0][i] * STRIDES[0] for i in (0, 1)])

    def assign(predictions, truth):
        scene = Scene(priors, truth, hw, jnp.asarray(0.5))
        return assigner.partition(assigner.cost(scene, predictions), scene)

    compiled = jax.jit(jax.vmap(assign)).lower(predictions, truth).compile()
    batch, n_objects = truth.labels.shape
    loops = [line for line in compiled.as_text().splitlines() if re.search(r" while\(", line)]
    row = {
        "assigner": name,
        "objects": n_objects,
        "ms": median_ms(compiled, predictions, truth, runs=runs) / batch,
        "temporary_mb": compiled.memory_analysis().temp_size_in_bytes / batch / 1e6,
        "tables": compiled.memory_analysis().temp_size_in_bytes / batch / (4 * n_objects * len(priors.boxes)),
        "open_loops": sum("known_trip_count" not in line for line in loops),
        "asked": asked(assign, predictions, truth),
        "literal_ms": literal_ms(name, data) if with_literal else None,
    }
    return row


def asked(assign, predictions, truth):
    """Times that the open loops of the first picture ask whether they end: one more than its turns for each."""
    count, while_loop = 0, jax.lax.while_loop

    def bump():
        nonlocal count
        count += 1

    def counting(cond, body, init):
        def counted(state):
            jax.debug.callback(bump)
            return cond(state)

        return while_loop(counted, body, init)

    first = jax.tree.map(lambda x: x[0], (predictions, truth))
    jax.lax.while_loop = counting
    try:
        jax.block_until_ready(jax.jit(lambda *arguments: assign(*arguments))(*first))
        jax.effects_barrier()
    finally:
        jax.lax.while_loop = while_loop
    return count


def literal_ms(name, data):
    """Time of the literal twin for the first picture; of PAA's for all, a picture."""
    priors, logits, predictions, truth = jax.tree.map(np.asarray, data)
    if name == "paa":
        return measure_literal(data, runs=1)[0] / len(logits)
    levels = priors.levels
    picture = make_picture(
        anchors=priors.boxes,
        valid=priors.valid,
        level=levels.of_prior,
        stride=np.asarray(levels.strides)[levels.of_prior],
        boxes=truth.boxes[0],
        labels=truth.labels[0],
        image_hw=np.array([side * STRIDES[0] for side in levels.shapes[0]]),
        logits=logits[0],
        deltas=predictions.box_deltas[0],
        predicted=predictions.boxes[0],
        quality=predictions.quality_logit[0],
    )
    start = time.perf_counter()
    TWINS[name](picture)
    return 1e3 * (time.perf_counter() - start)


def rows_of(options):
    """Rows of every assigner for every number of objects."""
    for n_objects in options.objects:
        canvas = (options.height, options.width)
        data = inputs(canvas, options.batch, options.classes, n_objects, skill=0.5)
        for name in options.assigners.split(","):
            yield measure_assigner(name, data, options.runs, n_objects in options.literal)


if __name__ == "__main__":
    parser = arguments(__doc__, batch=4, objects="7,30,100", literal="100")
    parser.add_argument("--assigners", default=",".join(ASSIGNERS), help="a list")
    flags = parser.parse_args()
    report(list(rows_of(flags)), flags)
