"""Starting a run with a command line's values, for `main.py` and the commands train, eval, plan and predict."""

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import jax

from lad_jax import hosts
from lad_jax.options import RunOptions
from lad_jax.paths import is_published
from lad_jax.run.evaluate import evaluate
from lad_jax.run.predict import predict
from lad_jax.run.preview import preview
from lad_jax.run.train import train

Mode = Literal["train", "eval", "plan"]
MODES: dict[Mode, Callable[[RunOptions, Path], None]] = {"train": train, "eval": evaluate, "plan": preview}


def start(mode: Mode, options: RunOptions, workdir: Path) -> None:
    """Train, evaluate or make a plan, as one process of the run or its only one.

    Raises:
      InputError: see `train`, `evaluate` and `preview`.
    """
    _set_determinism(options)
    with hosts.joined():
        if mode != "train" and jax.distributed.is_initialized():  # JAX keeps the signal for runs that save
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        MODES[mode](options, workdir)


def start_prediction(
    options: RunOptions | None,
    source: str,
    images: Sequence[str],
    output: Path | None,
    threshold: float | None,
) -> None:
    """Predict, as the only process; see `predict`.

    Without a folder for the results it is `predictions` in the workdir, or, of a published network, in this folder.

    Raises:
      InputError: see `predict`.
    """
    if options:
        _set_determinism(options)
    with hosts.joined():
        home = Path() if is_published(source) else Path(source)
        predict(options, source, images, output or home / "predictions", threshold)


def _set_determinism(options: RunOptions) -> None:
    if options.train.deterministic:  # read when JAX looks for devices, which nothing has done yet
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true"
