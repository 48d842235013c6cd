"""What the program is doing: told by those who do it, asked by who watches (`train/watchdog.py`).

One list for the process, as with logging: what takes long lies deep below who wants to know.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
_doing: list[str] = []
_latest = time.monotonic()


@contextlib.contextmanager
def doing(what: str) -> Iterator[None]:
    """Tell that `what` is being done while within."""
    _doing.append(what)
    _tick()
    try:
        yield
    finally:
        _doing.pop()
        _tick()


def waiting(items: Iterable[T], what: str) -> Iterator[T]:
    """The items; each is told of, as `what` and its number from 1, while it is awaited."""
    iterator = iter(items)
    number = 0
    while True:
        number += 1
        with doing(f"waiting for {what} {number}"):
            try:
                item = next(iterator)
            except StopIteration:
                return
        yield item


def current() -> tuple[str, ...]:
    """What is being done, the widest first."""
    return tuple(_doing)


def latest() -> float:
    """When anything was last begun or ended [seconds of time.monotonic]."""
    return _latest


def _tick() -> None:
    global _latest
    _latest = time.monotonic()
