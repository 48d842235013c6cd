"""Evaluations with other options than the paper's: what is detected, and how much of it the metrics count."""

import functools
from collections import Counter
from dataclasses import replace

import jax
import numpy as np

from lad_jax.data import DataOptions, SyntheticOptions, open_dataset
from lad_jax.evaluation.coco import evaluate
from lad_jax.evaluation.evaluator import EvaluationOptions, Evaluator
from lad_jax.evaluation.postprocess import PostprocessOptions
from lad_jax.train.state import init_variables
from tests.networks import ONE_DEVICE, OPTIONS, OneLayer

DATA = DataOptions(
    source="synthetic",
    synthetic=SyntheticOptions(val=4, size=96),
    short_side=96,
    long_side=96,
    workers=0,
    filter_empty=False,
)
DATASET = open_dataset(DATA, "val")
MODEL = OneLayer(replace(OPTIONS, first_level=3, n_levels=3), len(DATASET.class_names))
CLASS = 3
"""One that the pictures have objects of; the network below sees them everywhere."""
MANY = PostprocessOptions(max_detections=150, score_threshold=0.0, nms_iou=1.0, voting=False)
"""More detections of a class and picture than COCO counts, of 189 priors."""


def one_class():
    """Starting weights by which almost all detections are of one class."""
    variables = jax.tree.map(np.array, init_variables(MODEL, 0))
    variables["params"]["bbox_head"]["bias"][CLASS] += 9
    return variables


@functools.cache
def evaluated(postprocess):
    """Detections and metrics of a network that has learned nothing."""
    options = EvaluationOptions(batch_size=4, postprocess=postprocess)
    return Evaluator({"student": MODEL}, DATASET, DATA, options, ONE_DEVICE)({"student": one_class()})["student"]


def test_an_evaluation_detects_what_its_options_say():
    """The best two detections of each picture, and of these the better half, which is above the threshold."""
    whole = evaluated(MANY).detections
    best = [d for record in DATASET.records for d in [d for d in whole if d["image_id"] == record.id][:2]]
    threshold = float(np.median([d["score"] for d in best]))
    expected = [d for d in best if d["score"] > threshold]
    assert len(best) == 8 and len(expected) == 4
    assert evaluated(replace(MANY, max_detections=2, score_threshold=threshold)).detections == expected


def test_metrics_count_as_many_detections_as_the_options_keep():
    """150 of a picture here, of which the last fifty find objects too."""
    many = evaluated(MANY)
    assert set(Counter(d["image_id"] for d in many.detections).values()) == {150}
    truth, names, ids = DATASET.ground_truth(), DATASET.class_names, DATASET.category_ids
    counted = {most: evaluate(truth, many.detections, names, ids, most=most) for most in (100, 150)}
    assert counted[150].overall["AR_150"] > counted[100].overall["AR_100"], "it matters how many count"
    assert many.metrics == counted[150]
