"""The laws that an assigner from outside must obey for a run to make sense, tried on the run's first pictures."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from lad_jax.data import DataSet, Plan, train_batches
from lad_jax.errors import InputError
from lad_jax.options import RunOptions
from lad_jax.testing import BrokenLaw, Subject, check_laws
from lad_jax.train.step import TrainStep

LAWS_OF_RUNS = ("shapes", "by_boxes", "quality", "finite", "weights", "targets")
N_PICTURES = 4
"""Largest number of pictures that are tried."""


def check_first_batch(options: RunOptions, train_set: DataSet, plan: Plan, train_step: TrainStep) -> None:
    """Check on the first pictures of a run that its assigner's answers have the right shapes and sound values, that all
    networks get the same candidates, and that its costs need a predicted IoU only where it says so.

    Raises:
      InputError: the assigner breaks a law, or a picture cannot be read.
    """
    rows = np.arange(min(N_PICTURES, options.train.batch_size))
    data = replace(options.data, workers=0)
    [batch] = train_batches(train_set, plan, data, start_step=0, num_steps=1, rows=rows)
    scene = train_step.scene(jax.tree.map(jnp.asarray, batch), jnp.zeros(()))
    try:
        check_laws(Subject(train_step.assigner, scene, len(train_set.class_names)), LAWS_OF_RUNS)
    except BrokenLaw as error:
        raise InputError(
            f"config.assigner.name is {options.assigner.name!r}, but on the run's first batch {error} "
            "lad_jax.testing.check_assigner tries all laws (docs/assigners.md)."
        ) from None
