"""Figures of steps, gathered between two lines of the log."""

import logging

import jax
import numpy as np

from lad_jax.data import DataSet
from lad_jax.errors import InputError
from lad_jax.options import TrainOptions
from lad_jax.train.finite import explain
from lad_jax.train.nouns import StepOutput

_log = logging.getLogger(__name__)


class Window:
    """Outputs of the steps since the last line of the log; the newest is still on the devices."""

    def __init__(self, dataset: DataSet, options: TrainOptions) -> None:
        self._dataset, self._options = dataset, options
        self.skipped_in_a_row = 0
        """Number of steps in a row, up to the last that was taken out, that were left out."""
        self._outputs: list[StepOutput] = []
        self._unreadable: set[str] = set()

    def __len__(self) -> int:
        """Number of steps in the window."""
        return len(self._outputs)

    def add(self, output: StepOutput) -> None:
        """Add a step that was started, and wait for the one before: the host is never more than a step ahead."""
        jax.copy_to_host_async(output)
        self._outputs.append(output)
        self._outputs[-2:-1] = jax.device_get(self._outputs[-2:-1])

    def take(self, step: int, *, keep: int = 0) -> tuple[dict[str, float], list[list[int]]]:
        """Take steps out: mean scalars of those applied, and image ids of all; log the images that gave trouble.

        Args:
          step: number of the last step that is taken out.
          keep: number of the newest steps, after `step`, that stay for the next window.

        Raises:
          InputError: a step that was not applied, or too many of them in a row, as the options say.
        """
        end = len(self._outputs) - keep
        outputs, self._outputs = jax.device_get(self._outputs[:end]), self._outputs[end:]
        ids = []
        for number, output in enumerate(outputs, start=step - len(outputs) + 1):
            records = [self._dataset.records[i] for i in output.position.tolist()]
            ids.append([record.id for record in records])
            broken = [record.id for record, bad in zip(records, output.broken, strict=True) if bad]
            if broken:
                _log.warning("step %d: costs that are not finite for image ids %s", number, broken)
            unreadable = {record.file_name for record, good in zip(records, output.valid, strict=True) if not good}
            for name in sorted(unreadable - self._unreadable):
                self._unreadable.add(name)
                _log.warning("step %d: left out unreadable picture %s (%d so far)", number, name, len(self._unreadable))
            self.skipped_in_a_row = 0 if output.applied else self.skipped_in_a_row + 1
            if not output.applied:
                self._left_out(number, explain(output.finite, ids[-1]))
        applied = [output.scalars for output in outputs if output.applied]
        scalars = {name: float(np.mean([step[name] for step in applied])) for name in (applied[0] if applied else ())}
        counts = {"skipped_steps": len(outputs) - len(applied), "unreadable_pictures": len(self._unreadable)}
        return scalars | {name: float(count) for name, count in counts.items()}, ids

    def _left_out(self, step: int, reason: str) -> None:
        """Log a step that was not applied, or end the run."""
        allowed = self._options.max_skipped if self._options.on_non_finite == "skip" else 0
        if self.skipped_in_a_row > allowed:
            raise InputError(
                f"step {step} cannot be applied ({self.skipped_in_a_row} in a row): {reason}. Lower "
                f"config.optimizer.learning_rate or set config.optimizer.clip_norm, and start again in the same "
                f"workdir: the run goes on from its last checkpoint, if it has one. config.debug=True names the layer "
                f"that it comes from."
            )
        _log.warning("step %d left out, %d in a row: %s", step, self.skipped_in_a_row, reason)
