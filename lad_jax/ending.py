"""The end of a program by SIGTERM or Ctrl-C, and its exit codes."""

import os
import signal
from types import FrameType

EXIT_CODES = {signal.SIGTERM: os.EX_TEMPFAIL, signal.SIGINT: 128 + signal.SIGINT}
"""Exit codes by signal: 75, "start me again", and 130, as a shell has it for a program that Ctrl-C has ended."""


class Interrupted(SystemExit):
    """The end of a program by a signal, which `code` stands for."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(EXIT_CODES[number])
        self.signal = number


def interrupt(number: int, frame: FrameType | None) -> None:
    """Raise `Interrupted`: a handler, by which a signal ends a program as an error does."""
    raise Interrupted(signal.Signals(number))
