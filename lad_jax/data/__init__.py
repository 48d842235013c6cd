"""Data sets and batches, in numpy: no device is opened here or in the worker processes."""

from lad_jax.data.canvases import choose_canvases, padding_share, smallest_canvas
from lad_jax.data.loader import blank_batches, eval_batches, started, train_batches
from lad_jax.data.options import DataOptions, FolderOptions, SyntheticOptions, TfdsOptions
from lad_jax.data.pictures import read_picture
from lad_jax.data.plan import Plan, make_eval_plan, make_plan
from lad_jax.data.records import DataSet, Record, fingerprint, max_objects, training_positions
from lad_jax.data.sources import open_dataset, open_datasets, open_test

__all__ = [
    "DataOptions",
    "DataSet",
    "FolderOptions",
    "Plan",
    "Record",
    "SyntheticOptions",
    "TfdsOptions",
    "blank_batches",
    "choose_canvases",
    "eval_batches",
    "fingerprint",
    "make_eval_plan",
    "make_plan",
    "max_objects",
    "open_dataset",
    "open_datasets",
    "open_test",
    "padding_share",
    "read_picture",
    "smallest_canvas",
    "started",
    "train_batches",
    "training_positions",
]
