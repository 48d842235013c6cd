"""Starting a run with a command line's values, for `main.py` and the commands train, eval and predict."""

import os
import signal
from pathlib import Path
from typing import Literal

import jax

from lad_jax import hosts
from lad_jax.options import RunOptions
from lad_jax.run.evaluate import evaluate
from lad_jax.run.predict import predict
from lad_jax.run.train import train

Mode = Literal["train", "eval", "predict"]


def start(mode: Mode, options: RunOptions, workdir: Path, *, images: str = "", output: str = "") -> None:
    """Train, evaluate or predict, as one process of the run or its only one.

    Args:
      mode: which of the three.
      options: options of the run.
      workdir: folder of the run.
      images: a picture, a folder of pictures or a glob pattern, to predict.
      output: folder for predictions; empty: `predictions` in the workdir.

    Raises:
      InputError: see `train`, `evaluate` and `predict`.
    """
    if options.train.deterministic:  # read when JAX looks for devices, which nothing has done yet
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true"
    with hosts.joined():
        if mode != "train" and jax.distributed.is_initialized():  # JAX keeps the signal for runs that save
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if mode == "train":
            train(options, workdir)
        elif mode == "eval":
            evaluate(options, workdir)
        else:
            predict(options, workdir, images, Path(output or workdir / "predictions"))
