"""Recovery: a run goes on from the newest whole checkpoint. Damaged ones are set aside, and nothing is lost."""

import json
import logging
import shutil
from dataclasses import replace
from operator import itemgetter
from pathlib import Path

import orbax.checkpoint as ocp

from lad_jax import hosts
from lad_jax.errors import InputError
from lad_jax.run import checkpoint, saving
from lad_jax.run.meta import Meta, check_same_run
from lad_jax.train.state import TrainState

_log = logging.getLogger(__name__)
UNFINISHED = ".orbax-checkpoint-tmp"
"""Suffix that orbax gives the name of a checkpoint until all of it is written."""


def open_manager(workdir: Path) -> ocp.CheckpointManager:
    """Open the manager of the checkpoints of a run that is about to start, and clear what no one can use.

    Unfinished checkpoints, which a kill or a full disk has left, are deleted. An AP that cannot be read is set aside:
    orbax cannot tell whether its checkpoint is the best.
    """
    folder = workdir / "checkpoints"
    if hosts.is_writer():
        for unfinished in sorted(folder.glob(f"*{UNFINISHED}")):
            _log.warning("deleted %s: the run ended before this checkpoint was written", unfinished)
            shutil.rmtree(unfinished)
        for noted in sorted(folder.glob("*/metrics/metrics")):
            try:
                itemgetter("AP", "best_since")(json.loads(noted.read_text()))
            except (ValueError, KeyError, TypeError) as error:
                _set_aside(noted.parent, workdir, error)
    ocp.multihost.sync_global_processes("lad_jax:checkpoints_cleared")
    return saving.make_manager(workdir)


def resume(manager: ocp.CheckpointManager, state: TrainState, meta: Meta, workdir: Path) -> tuple[TrainState, Meta]:
    """State and meta of the newest whole checkpoint, or the given ones where there is no checkpoint at all.

    Damaged checkpoints that are newer are set aside in `WORKDIR/damaged`, once a whole one is found.

    Raises:
      InputError: all are damaged; or the checkpoint is of another run, or of converted weights.
    """
    damaged: dict[Path, Exception] = {}
    for step in sorted(manager.all_steps(), reverse=True):
        folder = Path(manager.directory) / str(step)
        try:
            found = _read(folder, step, state, meta, workdir)
        except checkpoint.DamagedError as error:
            damaged[folder] = error
            continue
        if hosts.is_writer():
            for newer, reason in damaged.items():
                _set_aside(newer, workdir, reason)
        if damaged:
            ocp.multihost.sync_global_processes("lad_jax:damaged_set_aside")
            manager.reload()
        return found
    if damaged or (workdir / "damaged").is_dir():
        reasons = "".join(f"\n  {error}" for error in damaged.values())
        raise InputError(
            f"{workdir} holds a run, but none of its checkpoints is whole: put back one from a copy, or take another "
            f"workdir to start from step 0. Damaged ones lie in {workdir / 'checkpoints'} and {workdir / 'damaged'}."
            f"{reasons}"
        )
    _log.info("no checkpoint in %s: starting from step 0", workdir)
    return state, meta


def _read(folder: Path, step: int, state: TrainState, meta: Meta, workdir: Path) -> tuple[TrainState, Meta]:
    saved = checkpoint.read_meta(folder)
    if step == 0:  # no run saves it
        raise InputError(
            f"{workdir} holds converted weights and no run to go on with: they are there to evaluate, to predict with "
            f"and to teach. Take another workdir; as a teacher they are used by config.teacher.path={workdir}."
        )
    check_same_run(saved, meta, workdir)
    return checkpoint.restore(folder, state), replace(meta, pretrained=saved.pretrained)


def _set_aside(folder: Path, workdir: Path, reason: Exception) -> None:
    """Move a checkpoint, or an item of one, from `checkpoints` to `damaged`, under a name that is free there."""
    target = workdir / "damaged" / "_".join(folder.relative_to(workdir / "checkpoints").parts)
    while target.exists():
        target = target.with_name(target.name + "_")
    _log.warning("%s is damaged and was set aside as %s: %s", folder, target, reason)
    target.parent.mkdir(exist_ok=True)
    folder.rename(target)
