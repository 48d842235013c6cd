"""Activities of the program: noted where they happen, read by the watchdog (`run/watchdog.py`).

There is one list for the process, as with logging: long activities lie far below the code that asks for them.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
_current: list[str] = []
_latest = time.monotonic()


@contextlib.contextmanager
def activity(what: str) -> Iterator[None]:
    """Note the activity `what` for as long as the block runs."""
    _current.append(what)
    _tick()
    try:
        yield
    finally:
        _current.pop()
        _tick()


def activities(items: Iterable[T], what: str) -> Iterator[T]:
    """The items; each is noted, as `what` and its number from 1, while it is awaited."""
    iterator = iter(items)
    number = 0
    while True:
        number += 1
        with activity(f"waiting for {what} {number}"):
            try:
                item = next(iterator)
            except StopIteration:
                return
        yield item


def current() -> tuple[str, ...]:
    """Activities at this moment, the outermost first."""
    return tuple(_current)


def latest() -> float:
    """Time at which an activity last started or ended [seconds of time.monotonic]."""
    return _latest


def _tick() -> None:
    global _latest
    _latest = time.monotonic()
