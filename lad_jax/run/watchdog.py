"""The watchdog: a warning in the log about what a run waits for when nothing ends for long. It ends nothing."""

import contextlib
import logging
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from lad_jax import progress

_PACKAGE = str(Path(__file__).parents[1])
_INNERMOST = 3
"""Number of innermost calls that are shown besides those of this package."""

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def watch(limit_s: float) -> Iterator[None]:
    """Warn, while the block runs, whenever no activity of `progress` has started or ended for `limit_s`.

    The warning names the activity, its duration, and where in the code the calling thread is.

    Args:
      limit_s: time after which a warning is due, and then another; 0: no warnings [seconds].
    """
    if not limit_s:
        yield
        return
    ended = threading.Event()
    watched = threading.get_ident()
    thread = threading.Thread(target=_watch, args=(limit_s, watched, ended), daemon=True, name="watchdog")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _watch(limit_s: float, watched: int, ended: threading.Event) -> None:
    warned = time.monotonic()
    while not ended.wait(max(0.0, max(warned, progress.latest()) + limit_s - time.monotonic())):
        latest, now = progress.latest(), time.monotonic()
        if now - max(warned, latest) >= limit_s:
            warned = now
            what = " while ".join(reversed(progress.current())) or "between two steps"
            _log.warning("nothing has ended for %.0f s: the run is %s. It is at%s", now - latest, what, _where(watched))


def _where(thread: int) -> str:
    """Position of a thread in the code, the innermost call last: this package's calls, and the last few."""
    calls = traceback.extract_stack(sys._current_frames()[thread])
    near = len(calls) - _INNERMOST
    shown = [call for i, call in enumerate(calls) if i >= near or call.filename.startswith(_PACKAGE)]
    return "".join(f"\n  {call.filename}:{call.lineno} {call.name}" for call in shown)
