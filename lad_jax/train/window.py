"""What the steps tell, gathered between two lines of the log."""

import logging

import jax
import numpy as np

from lad_jax.data import DataSet
from lad_jax.errors import InputError
from lad_jax.train.step import StepOutput

_log = logging.getLogger(__name__)


class Window:
    """The outputs of the steps since the last line of the log; the newest is still on the devices."""

    def __init__(self, dataset: DataSet) -> None:
        self._dataset = dataset
        self._outputs: list[StepOutput] = []
        self._unreadable: set[str] = set()

    def __len__(self) -> int:
        """How many steps it holds."""
        return len(self._outputs)

    def add(self, output: StepOutput) -> None:
        """Add a step that was begun. Waits for the one before it: the host is never more than a step ahead."""
        jax.copy_to_host_async(output)
        self._outputs.append(output)
        self._outputs[-2:-1] = jax.device_get(self._outputs[-2:-1])

    def close(self, step: int, *, keep: int = 0) -> tuple[dict[str, float], list[list[int]]]:
        """Mean scalars and the image ids of each step; names the images that gave trouble.

        Args:
          step: number of the last one.
          keep: so many of the newest, after `step`, stay for the next window.

        Raises:
          InputError: a loss or gradient that is not finite: no later step would mean anything.
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
            if not (np.isfinite(output.scalars["loss"]) and np.isfinite(output.scalars["gradient_norm"])):
                terms = {name: float(v) for name, v in output.scalars.items() if "loss" in name or "gradient" in name}
                raise InputError(
                    f"the loss of step {number} or its gradient is not finite ({terms}; image ids {ids[-1]}). Lower "
                    f"config.optimizer.learning_rate or set config.optimizer.clip_norm, and start again in the same "
                    f"workdir: the run goes on from its last checkpoint, if it has one."
                )
        names = outputs[0].scalars if outputs else ()
        scalars = {name: float(np.mean([output.scalars[name] for output in outputs])) for name in names}
        return scalars | {"unreadable_pictures": float(len(self._unreadable))}, ids
