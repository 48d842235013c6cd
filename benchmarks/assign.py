"""Time and memory of PAA's assignment, beside a literal numpy and scikit-learn one.

    python benchmarks/assign.py
    python benchmarks/assign.py --objects=7,100 --batch=16 --json=assign.json

The pictures are random, the predictions like an untrained network's. Times are medians in milliseconds a batch.
"""

import argparse
import json
import re
import statistics
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lad_jax import boxes, mixture
from lad_jax.assign.candidates import max_iou_candidates
from lad_jax.assign.paa import PAAOptions, cheapest_of_each_object, make_paa
from lad_jax.priors import make_priors
from lad_jax.types import GroundTruth, Predictions, Scene
from tests.reference import paa as literal

STRIDES, OPTIONS = (8, 16, 32, 64, 128), PAAOptions()
PAA = make_paa(OPTIONS)


def inputs(canvas, batch, n_classes, n_objects):
    """Random priors, raw outputs and objects: logits about -4.6, small deltas, sides from 8 pixels to the canvas."""
    rng = np.random.default_rng(0)
    priors = make_priors(canvas, STRIDES, 8.0)
    n = len(priors.boxes)
    logits = rng.normal(-4.6, 0.3, (batch, n, n_classes)).astype(np.float32)
    deltas = rng.normal(0, 0.1, (batch, n, 4)).astype(np.float32)
    limit = np.array([canvas[1], canvas[0]])
    side = np.exp(rng.uniform(np.log(8), np.log(0.9 * limit), (batch, n_objects, 2)))
    corner = rng.uniform(0, 1, side.shape) * (limit - side)
    objects = np.concatenate([corner, corner + side], axis=2).astype(np.float32)
    labels = rng.integers(0, n_classes, (batch, n_objects)).astype(np.int32)
    mask = np.ones((batch, n_objects), bool)
    truth = GroundTruth(*map(jnp.asarray, (objects, labels, mask, ~mask)))
    predictions = Predictions(
        class_log_p=jax.nn.log_sigmoid(logits),
        class_log_not_p=jax.nn.log_sigmoid(-logits),
        box_deltas=jnp.asarray(deltas),
        boxes=boxes.decode(jnp.asarray(priors.boxes)[None], jnp.asarray(deltas)),
        quality_logit=jnp.zeros((batch, n)),
    )
    return jax.tree.map(jnp.asarray, priors), logits, predictions, truth


def median_ms(function, *arguments, repeats):
    """Median time of a call, after one that compiles."""
    jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def measure(canvas, batch, n_classes, n_objects, repeats):
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
    candidates_ms = median_ms(candidates, truth, repeats=repeats)
    compiled = whole.lower(predictions, truth).compile()
    result = {
        "objects": n_objects,
        "candidates_ms": candidates_ms,
        "costs_ms": median_ms(costs, predictions, truth, repeats=repeats) - candidates_ms,
        "cheapest_ms": median_ms(cheapest, tables, truth, repeats=repeats),
        "mixture_ms": median_ms(fit, values, kept, repeats=repeats),
        "whole_ms": median_ms(compiled, predictions, truth, repeats=repeats),
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


def measure_literal(data, repeats):
    priors, logits, predictions, truth = jax.tree.map(np.asarray, data)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        owner = literal_assign(priors, logits, predictions.boxes, truth)
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times), owner


def print_table(rows):
    columns = list(rows[0])
    print("| " + " | ".join(columns) + " |")
    print("|" + " --: |" * len(columns))
    for row in rows:
        cells = ["" if v is None else f"{v:.1f}" if isinstance(v, float) else str(v) for v in row.values()]
        print("| " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--height", type=int, default=800)
    parser.add_argument("--width", type=int, default=1088)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--objects", default="1,7,30,100", help="objects a picture, a list")
    parser.add_argument("--literal", default="7,100", help="for which of them the literal way is timed too")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", help="also write the rows to this file")
    options = parser.parse_args()

    rows = []
    also_literal = {int(n) for n in options.literal.split(",") if n}
    for n_objects in map(int, options.objects.split(",")):
        canvas = (options.height, options.width)
        row, owner, data = measure(canvas, options.batch, options.classes, n_objects, options.repeats)
        row |= {"literal_ms": None, "ratio": None, "equal_objects": None}
        if n_objects in also_literal:
            row["literal_ms"], expected = measure_literal(data, repeats=2)
            row["ratio"] = row["literal_ms"] / row["whole_ms"]
            same = [((owner == g) == (expected == g)).all(axis=1).mean() for g in range(n_objects)]
            row["equal_objects"] = f"{100 * np.mean(same):.1f} %"
        rows.append(row)
    device = jax.devices()[0]
    print(
        f"{options.batch} pictures of {options.height}x{options.width}, {options.classes} classes, {device.platform}\n"
    )
    print_table(rows)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
