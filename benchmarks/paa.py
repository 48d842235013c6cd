"""Time and memory of PAA's assignment by part, beside a literal numpy and scikit-learn one.

    python -m benchmarks.paa
    python -m benchmarks.paa --objects=7,100 --batch=16 --json=paa.json

The pictures are random, the predictions like an untrained network's. Times are medians in milliseconds a batch.
"""

import re
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks._assignment import arguments, inputs, report
from benchmarks._measure import median_ms
from lad_jax import mixture
from lad_jax.assign.candidates import max_iou_candidates
from lad_jax.assign.paa import PAAOptions, cheapest_of_each_object, make_paa
from lad_jax.types import Scene
from tests.reference import paa as literal

OPTIONS = PAAOptions()
PAA = make_paa(OPTIONS)


def measure(canvas, batch, n_classes, n_objects, runs):
    """Times of the whole assignment and of its parts, memory, and calls to the host."""
    priors, logits, predictions, truth = inputs(canvas, batch, n_classes, n_objects)

    def scene(truth):
        return Scene(priors, truth, jnp.array(canvas), jnp.zeros(()))

    @jax.jit
    def whole(predictions, truth):
        return jax.vmap(lambda p, t: PAA.partition(PAA.cost(scene(t), p), scene(t)))(predictions, truth)

    @jax.jit
    def candidates(truth):
        return jax.vmap(lambda t: max_iou_candidates(priors, t, min_iou=OPTIONS.min_iou))(truth)

    @jax.jit
    def costs(predictions, truth):
        return jax.vmap(lambda p, t: PAA.cost(scene(t), p))(predictions, truth)

    @jax.jit
    def cheapest(tables, truth):
        per_level = OPTIONS.candidates_per_level
        return jax.vmap(lambda table, t: cheapest_of_each_object(table, scene(t), per_level=per_level))(tables, truth)

    fit = jax.jit(jax.vmap(jax.vmap(mixture.fit)))

    tables = costs(predictions, truth)
    _, values, kept = cheapest(tables, truth)
    candidates_ms = median_ms(candidates, truth, runs=runs)
    compiled = whole.lower(predictions, truth).compile()
    result = {
        "objects": n_objects,
        "candidates_ms": candidates_ms,
        "costs_ms": median_ms(costs, predictions, truth, runs=runs) - candidates_ms,
        "cheapest_ms": median_ms(cheapest, tables, truth, runs=runs),
        "mixture_ms": median_ms(fit, values, kept, runs=runs),
        "whole_ms": median_ms(compiled, predictions, truth, runs=runs),
        "temporary_mb": compiled.memory_analysis().temp_size_in_bytes / 1e6,
        "host_calls": len(re.findall(r"callback|outfeed|infeed|\bsend\(|\brecv\(", compiled.as_text())),
    }
    owner = np.asarray(compiled(predictions, truth).object)
    return result, owner, (priors, logits, predictions, truth)


def literal_assign(priors, logits, predicted, truth):
    """PAA's assignment by numpy and scikit-learn, picture by picture and object by object."""
    owners = []
    for logit, box, objects, labels in zip(logits, predicted, truth.boxes, truth.labels, strict=True):
        candidate = literal.pre_assign(priors.boxes, priors.valid, objects)
        cost = literal.costs(candidate, logit, box, objects, labels)
        owners.append(literal.partition(candidate, cost, priors.levels.of_prior, len(labels)))
    return np.stack(owners)


def measure_literal(data, runs):
    priors, logits, predictions, truth = jax.tree.map(np.asarray, data)
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        owner = literal_assign(priors, logits, predictions.boxes, truth)
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times), owner


def rows_of(options):
    """Rows for every number of objects."""
    for n_objects in options.objects:
        canvas = (options.height, options.width)
        row, owner, data = measure(canvas, options.batch, options.classes, n_objects, options.runs)
        row |= {"literal_ms": None, "ratio": None, "equal_objects": None}
        if n_objects in options.literal:
            row["literal_ms"], expected = measure_literal(data, runs=2)
            row["ratio"] = row["literal_ms"] / row["whole_ms"]
            same = [((owner == g) == (expected == g)).all(axis=1).mean() for g in range(n_objects)]
            row["equal_objects"] = f"{100 * np.mean(same):.1f} %"
        yield row


if __name__ == "__main__":
    flags = arguments(__doc__, batch=16, objects="1,7,30,100", literal="7,100").parse_args()
    report(list(rows_of(flags)), flags)
