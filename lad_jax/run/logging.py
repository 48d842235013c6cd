"""The logs of a run: progress lines, `metrics.jsonl`, `images.jsonl`, TensorBoard."""

import datetime
import json
import logging
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from lad_jax.evaluation.coco import NO_AP
from lad_jax.evaluation.evaluator import Evaluated
from lad_jax.files import append_line, read_lines, write_whole
from lad_jax.types import Network

_log = logging.getLogger(__name__)


class RunLog:
    """A writer of a run's figures; without `writes` it writes nothing: only one of several processes does.

    A run that goes on from step `start` drops the lines of later steps that a kill left behind, of the evaluation of
    that step unless the checkpoint is `evaluated`, and that it had ended: it goes on, or ends again.
    """

    def __init__(
        self,
        workdir: Path,
        *,
        start: int,
        evaluated: bool,
        total: int,
        steps_per_epoch: int,
        batch_size: int,
        writes: bool,
    ) -> None:
        self._metrics, self._images, self._writes = workdir / "metrics.jsonl", workdir / "images.jsonl", writes
        if writes:
            for file in (self._metrics, self._images):
                _drop_after(file, start, evaluated)
        self._board = _board(workdir / "tensorboard", start) if writes else None
        # disable=None: no bar where the output is not a terminal; `window` logs lines there.
        disable = None if writes else True
        self._bar = tqdm(total=total, initial=start, unit="step", disable=disable, dynamic_ncols=True, file=sys.stderr)
        self._total, self._steps_per_epoch, self._batch_size = total, steps_per_epoch, batch_size
        self._since = time.monotonic()

    def step(self) -> None:
        """Count one step."""
        self._bar.update()

    def window(self, step: int, scalars: Mapping[str, float], image_ids: list[list[int]]) -> None:
        """Write the mean figures of the steps since the last window.

        Args:
          step: number of steps that are done.
          scalars: means over the window, by name.
          image_ids: original ids of the pictures of each step of the window.
        """
        now = time.monotonic()
        rate = len(image_ids) * self._batch_size / (now - self._since)
        self._since = now
        figures = {"step": step, "epoch": round(step / self._steps_per_epoch, 3), "images_per_s": rate, **scalars}
        self._append(self._metrics, figures)
        for offset, ids in enumerate(image_ids, start=step - len(image_ids) + 1):
            self._append(self._images, {"step": offset, "image_ids": ids})
        self.scalars(step, {"images_per_s": rate, **scalars})
        self._show(step, rate, scalars)

    def _show(self, step: int, rate: float, scalars: Mapping[str, float]) -> None:
        """Show how far the run is: in the bar, or where there is none as a line of the log."""
        epoch = f"epoch {step / self._steps_per_epoch:.1f}"
        losses = {name.replace("loss_", ""): f"{value:.3f}" for name, value in scalars.items() if "loss" in name}
        figures = {"images/s": f"{rate:.1f}", **losses}
        self._bar.set_description(epoch)
        self._bar.set_postfix(figures)
        if self._writes and self._bar.disable:
            left = datetime.timedelta(seconds=round((self._total - step) * self._batch_size / rate))
            text = ", ".join(f"{name} {value}" for name, value in figures.items())
            _log.info("step %d of %d, %s: %s; %s left", step, self._total, epoch, text, left)

    def evaluation(self, step: int, results: Mapping[Network, Evaluated], seconds: float) -> None:
        """Write COCO's numbers of each network."""
        numbers = {name: result.metrics.overall for name, result in results.items()}
        self._append(self._metrics, {"step": step, "evaluation": numbers, "seconds": round(seconds, 1)})
        for network, values in numbers.items():
            self.scalars(step, {f"{network}/{name}": value for name, value in values.items() if value is not None})
            known = ((name, values[name]) for name in ("AP", "AP50", "AP75"))
            shown = "  ".join(f"{name} {100 * value:.1f}" for name, value in known if value is not None)
            _log.info("step %d, %s: %s", step, network, shown or NO_AP)

    def ended(self, step: int) -> None:
        """Write that the run is over, though its last epoch is not done."""
        self._append(self._metrics, {"step": step, "ended": "patience"})
        _log.info("the AP has not become better for config.train.patience evaluations: the run ends")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        if self._board:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def pictures(self, step: int, images: Iterable[UInt8[np.ndarray, "H W 3"]]) -> None:
        """Show validation pictures."""
        if self._board:
            for number, image in enumerate(images):
                self._board.add_image(f"validation/{number}", image, step, dataformats="HWC")

    def restart_clock(self) -> None:
        """Leave out the time since the last window (an evaluation) from images/s."""
        self._since = time.monotonic()

    def _append(self, file: Path, line: Mapping[str, Any]) -> None:
        if self._writes:
            append_line(file, line)

    def close(self) -> None:
        self._bar.close()
        if self._board:
            self._board.close()


def _board(folder: Path, start: int) -> Any:
    """A writer for TensorBoard, which does not show earlier figures of steps after `start`."""
    from tensorboardX import SummaryWriter  # imports torch where that is installed: only training needs it

    return SummaryWriter(str(folder), purge_step=start + 1)


def _drop_after(file: Path, step: int, evaluated: bool) -> None:
    """Keep the lines of steps up to `step`, its evaluation's only if `evaluated`; none of an end, or damaged."""

    def is_kept(line: dict[str, Any]) -> bool:
        if "ended" in line:
            return False
        return line["step"] < step or (line["step"] == step and (evaluated or "evaluation" not in line))

    if file.exists():
        lines, damaged = read_lines(file)
        if damaged:
            _log.warning("%s: dropped %d line(s) that a kill or a power cut has damaged", file, damaged)
        write_whole(file, "".join(json.dumps(line) + "\n" for line in filter(is_kept, lines)))
