"""What the program is doing: noted by those who do it, read by who watches (`run/watchdog.py`).

One list for the process, as with logging: what takes long lies deep below who wants to know.
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
    """Note that `what` is being done while within."""
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
    """What is being done, the widest first."""
    return tuple(_current)


def latest() -> float:
    """When anything was last started or ended [seconds of time.monotonic]."""
    return _latest


def _tick() -> None:
    global _latest
    _latest = time.monotonic()
