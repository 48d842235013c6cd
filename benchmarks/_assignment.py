"""Random pictures for the benchmarks of assignment, their flags, and the printed table."""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks._measure import machine, print_table, write_json
from lad_jax import boxes
from lad_jax.assign.candidates import max_iou_candidates
from lad_jax.priors import make_priors
from lad_jax.types import GroundTruth, Predictions

STRIDES = (8, 16, 32, 64, 128)


def inputs(canvas, batch, n_classes, n_objects, skill=0.0):
    """Random priors, raw outputs and objects: logits about -4.6, small deltas, sides from 8 pixels to the canvas.

    With `skill` a prior whose box overlaps an object predicts it in part: that share of the way to its box, and its
    class by a logit that is 6 times as much higher.
    """
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
    if skill:
        near = jax.jit(jax.vmap(lambda t: max_iou_candidates(priors, t, min_iou=0.1)))(truth)
        picture, prior = np.nonzero(np.asarray(near) >= 0)
        of = np.asarray(near)[picture, prior]
        logits[picture, prior, labels[picture, of]] += 6 * skill
        deltas[picture, prior] += skill * np.asarray(boxes.encode(priors.boxes[prior], objects[picture, of]))
    predictions = Predictions(
        class_log_p=jax.nn.log_sigmoid(logits),
        class_log_not_p=jax.nn.log_sigmoid(-logits),
        box_deltas=jnp.asarray(deltas),
        boxes=boxes.decode(jnp.asarray(priors.boxes)[None], jnp.asarray(deltas)),
        quality_logit=jnp.zeros((batch, n)),
    )
    return jax.tree.map(jnp.asarray, priors), logits, predictions, truth


def report(rows, options):
    """Print the rows of a table, and write them where `--json` says."""
    title = f"{options.batch} pictures of {options.height}x{options.width}, {options.classes} classes, {machine()}"
    print(f"{title}\n")
    print_table(rows)
    write_json(options.json, {"title": title, "rows": rows})


def arguments(description, *, batch, objects, literal):
    """The parser of the flags that the benchmarks share, with their defaults."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--height", type=int, default=800)
    parser.add_argument("--width", type=int, default=1088)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--objects", type=numbers_of, default=objects, help="objects a picture, a list")
    parser.add_argument("--literal", type=numbers_of, default=literal, help="for which of them the literal is timed")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", help="also write the rows to this file")
    return parser


def numbers_of(text):
    """Whole numbers of a list."""
    return [int(number) for number in text.split(",") if number]
