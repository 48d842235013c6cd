"""SIGTERM and Ctrl-C, which ask a run to end: it ends where nothing is half done."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any

import jax
from jax.experimental import multihost_utils

from lad_jax.ending import EXIT_CODES, Interrupted


class Interruptions:
    """A context that notes SIGTERM and the first Ctrl-C, on which `end_if_asked` and `at_once` then act.

    A second Ctrl-C ends the process at once, as `kill -9` would. Signals reach only the main thread of Python: in
    another one nothing is noted. Several processes must end after the same step: there JAX listens for SIGTERM, and
    agrees on the step with the others.
    """

    def __init__(self) -> None:
        self._noted: signal.Signals | None = None
        self._at_once = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interruptions":
        if threading.current_thread() is threading.main_thread() and jax.process_count() == 1:
            self._before = {number: signal.signal(number, self._note) for number in EXIT_CODES}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not one of Python's

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted = signal.Signals(number)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if number == signal.SIGINT:  # no logging: the signal may have come in the middle of a line of the log
            with contextlib.suppress(OSError):  # the terminal is gone
                os.write(2, b"\nCtrl-C: what is done will be saved; once more ends the program at once\n")
        if self._at_once:
            self._at_once = False  # only once: what follows is the saving
            raise Interrupted(self._noted)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal end the block anywhere; a program that is being compiled in it is waited for.

        Raises:
          Interrupted: as soon as a signal comes, or if one has come.
        """
        self._at_once = True
        try:
            if self._noted:
                raise Interrupted(self._noted)
            yield
        finally:
            self._at_once = False

    def go_on_from(self, start: int) -> None:
        """Count the `start` steps that a resumed run has done, in every process: several agree on a step by its number.

        Raises:
          Interrupted: see `end_if_asked`.
        """
        for step in range(1, start + 1):
            self.end_if_asked(step)

    def end_if_asked(self, step: int) -> None:
        """End the run if a signal has come. Every process must call it after every step.

        Args:
          step: number of steps that are done.

        Raises:
          Interrupted: a signal has come; of several processes, in all of them after the same step.
        """
        if jax.process_count() > 1 and multihost_utils.reached_preemption_sync_point(step):
            raise Interrupted(signal.SIGTERM)
        if self._noted:
            raise Interrupted(self._noted)


@contextlib.contextmanager
def saving_on_exit(save: Callable[[], None]) -> Iterator[None]:
    """Call `save` before an error or an interruption of the block goes on.

    An error of one of several processes finds the others elsewhere, so nothing is saved: all must do that together.
    """
    try:
        yield
    except Interrupted:
        save()
        raise
    except Exception:
        if jax.process_count() == 1:
            save()
        raise
