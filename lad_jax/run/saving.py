"""Writing checkpoints; `checkpoint` has their content, and reads them."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from lad_jax.errors import InputError, reason_of
from lad_jax.progress import activity
from lad_jax.run import lock
from lad_jax.run.meta import Meta
from lad_jax.train.state import TrainState, Variables
from lad_jax.types import Network


def make_manager(workdir: Path) -> ocp.CheckpointManager:
    """Orbax's manager of a workdir's checkpoints, which keeps the two newest and the best.

    It keeps two, so that a damaged one costs only the steps since the one before. Old ones are deleted after a new one
    is whole.
    """
    best = BestN(get_metric_fn=_rank, n=1, keep_checkpoints_without_metrics=False)
    keep = AnyPreservationPolicy([LatestN(n=2), best])
    options = ocp.CheckpointManagerOptions(best_fn=_rank, preservation_policy=keep)
    return ocp.CheckpointManager((workdir / "checkpoints").absolute(), options=options)


def save(manager: ocp.CheckpointManager, state: TrainState, meta: Meta) -> None:
    """Save a checkpoint asynchronously.

    Raises:
      InputError: this checkpoint, or the one before it, could not be written.
    """
    items: dict[str, Any] = {
        "variables": ocp.args.StandardSave(state.variables),
        "optimizer": ocp.args.StandardSave(state.optimizer),
        "meta": ocp.args.JsonSave(dataclasses.asdict(meta)),
    }
    if state.ema:
        items["ema"] = ocp.args.StandardSave(state.ema)
    step = int(state.step)
    with _writing(manager), activity(f"saving step {step}"):
        manager.save(step, args=ocp.args.Composite(**items))


def finish(manager: ocp.CheckpointManager) -> None:
    """Wait until the last checkpoint is written.

    Raises:
      InputError: it could not be written.
    """
    with _writing(manager), activity("waiting for the last checkpoint to be written"):
        manager.wait_until_finished()


def raise_failure(manager: ocp.CheckpointManager) -> None:
    """Raise the error of a save that has failed; one that goes on is not waited for.

    Raises:
      InputError: a checkpoint could not be written.
    """
    if not manager.is_saving_in_progress():
        finish(manager)


def note_ap(manager: ocp.CheckpointManager, step: int, ap: float | None) -> None:
    """Note with a checkpoint that it was evaluated, and its AP, which lets it be the best; None: there was no object.

    Raises:
      InputError: the checkpoint or this could not be written.
    """
    finish(manager)
    best = _best(manager)
    noted: dict[str, Any] = {"AP": ap, "best_since": step}
    if best is not None and _rank(noted) <= _rank(best):
        noted["best_since"] = best["best_since"]
    with _writing(manager):
        with ocp.Checkpointer(ocp.JsonCheckpointHandler(filename="metrics")) as writer:
            writer.save(Path(manager.directory) / str(step) / "metrics", args=ocp.args.JsonSave(noted), force=True)
        manager.reload()


def best_since(manager: ocp.CheckpointManager) -> int | None:
    """The step at which the best AP so far was reached first; None where nothing was evaluated.

    Of equals orbax's best is the last, and the first may have been deleted.
    """
    best = _best(manager)
    return None if best is None else best["best_since"]


def _best(manager: ocp.CheckpointManager) -> Mapping[str, Any] | None:
    """What was noted with the best checkpoint."""
    step = manager.best_step()
    return None if step is None else manager.metrics(step)


def _rank(noted: Mapping[str, Any]) -> float:
    """The AP that was noted, by which checkpoints are compared; where there was no object, below every AP."""
    return -1.0 if noted["AP"] is None else noted["AP"]


@contextlib.contextmanager
def _writing(manager: ocp.CheckpointManager) -> Iterator[None]:
    """Explain an error of the block, orbax's or tensorstore's, by what it means for the run."""
    try:
        yield
    except Exception as error:
        folder = Path(manager.directory)
        whole = max(ocp.utils.checkpoint_steps(folder), default=None)
        rest = "there is none yet" if whole is None else f"the newest whole one is of step {whole}"
        raise InputError(
            f"a checkpoint could not be written to {folder}; {rest}. If the disk is full, free some space; then start "
            f"the same command again. Reason: {reason_of(error)}"
        ) from error


def save_weights(workdir: Path, variables: Mapping[Network, Variables], meta: Meta) -> Path:
    """Save networks of another program as step 0 of a workdir; returns the checkpoint's folder.

    Raises:
      InputError: the workdir holds a checkpoint, or another run is at work there.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    with lock.hold(workdir), make_manager(workdir) as manager:
        if manager.latest_step() is not None:
            raise InputError(f"{workdir} holds checkpoints: nothing is overwritten. Take another workdir.")
        items = {
            "variables": ocp.args.StandardSave(dict(variables)),
            "meta": ocp.args.JsonSave(dataclasses.asdict(meta)),
        }
        manager.save(0, args=ocp.args.Composite(**items))
    return workdir / "checkpoints" / "0"
