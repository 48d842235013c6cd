"""A detector by its source: a run's, or an exported one."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from lad_jax.errors import InputError
from lad_jax.paths import source_path
from lad_jax.run import trained
from lad_jax.run.exported import Exported, open_exported
from lad_jax.run.trained import Trained
from lad_jax.types import Network


def load(source: str | Path, network: Network | None = None) -> Trained | Exported:
    """A detector, for use from Python: `load("runs/demo/lad")("photo.jpg").boxes`.

    Programs that it compiles are kept on the disk for other processes, unless JAX was given a folder for them.

    Args:
      source: a file that `python -m lad_jax export` has written; a run's workdir (the best checkpoint by AP is taken,
        else the newest) or a checkpoint's folder; `zoo:NAME`, a published network (docs/zoo.md); or
        `hf://OWNER/REPO`, one that `python -m lad_jax push` has written.
      network: `student`, `teacher` or a peer; default: `evaluation.network` of the run. A file has one network.

    Raises:
      InputError: see `local_checkpoint` and `open_exported`.
    """
    path = Path(source_path(str(source), "the source"))
    if not path.is_file():
        with _without_notes():
            return trained.load(source, network)
    if network:
        raise InputError(f"network is {network!r}, but the exported file {source} has one network: leave it out.")
    return open_exported(path)


@contextlib.contextmanager
def _without_notes() -> Iterator[None]:
    """Silence what orbax logs of every checkpoint, so that it is not taken for a fault."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(max(before, logging.ERROR))  # a command has silenced more
    try:
        yield
    finally:
        logger.setLevel(before)
