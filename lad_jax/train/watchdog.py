"""Says in the log what a run waits for when nothing ends for long. It ends nothing itself."""

import contextlib
import logging
import sys
import threading
import time
import traceback
from collections.abc import Iterator

from lad_jax import progress

_FRAMES = 8
"""So many innermost calls are shown."""

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def watch(limit_s: float) -> Iterator[None]:
    """While within, warn whenever nothing that `progress` is told of began or ended for `limit_s`, and again as often.

    The warning names what is being done, since when, and where in the code the thread is that called.

    Args:
      limit_s: 0: no warnings [seconds].
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
            stack = traceback.extract_stack(sys._current_frames()[watched])[-_FRAMES:]
            where = "".join(f"\n  {frame.filename}:{frame.lineno} {frame.name}" for frame in stack)
            _log.warning("nothing has ended for %.0f s: the run is %s. It is at%s", now - latest, what, where)
