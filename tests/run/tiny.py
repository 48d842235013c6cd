"""A run small enough for tests."""

from typing import Any

from lad_jax.config import from_config, to_config
from lad_jax.options import RunOptions
from tests import networks

# Every run here shares these shapes, so that a program is compiled once and then found in the cache.
TINY = {
    **{f"model.{key}": value for key, value in networks.TINY.items()},
    "data.source": "synthetic",
    "data.synthetic.train": 12,
    "data.synthetic.val": 4,
    "data.synthetic.size": 96,
    "data.short_side": 96,
    "data.long_side": 96,
    "data.workers": 0,
    "data.filter_empty": False,
    "optimizer.warmup_steps": 2,
    "optimizer.decay_epochs": (),
    "train.batch_size": 4,
    "train.epochs": 2,
    "train.log_every": 1,
    "train.checkpoint_every": 2,
    "mesh.data": 1,
    "evaluation.batch_size": 4,
    "evaluation.pictures": 1,
    "report.pictures": 0,
}


def tiny(**changes: Any) -> RunOptions:
    """Options of a tiny run; keys with `__` for dots. The teacher is a network like the student."""
    config = to_config(RunOptions())
    values = dict(TINY)
    values |= {key.replace("model.", "teacher.model.", 1): v for key, v in TINY.items() if key.startswith("model.")}
    values |= {key.replace("__", "."): value for key, value in changes.items()}
    config.update_from_flattened_dict(values)
    return from_config(RunOptions, config)
