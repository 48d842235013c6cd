"""Errors that the user can put right, and their messages."""

import traceback
from collections.abc import Sequence


class InputError(ValueError):
    """Bad input. The message names the file, id or key and says what to do; `main.py` prints it without a traceback."""


def first_few(things: Sequence[object]) -> str:
    """The first few of a list, and how many there are, for a message."""
    more = f", … ({len(things)} in all)" if len(things) > 5 else ""
    return ", ".join(map(str, things[:5])) + more


def reason_of(error: Exception) -> str:
    """Kind and text of an error of a library, for a message; of a long text the beginning and the end."""
    text = str(error)
    return f"{type(error).__name__}: {text if len(text) <= 500 else f'{text[:200]} … {text[-300:]}'}"


def place_of(error: Exception) -> str:
    """File and line where an error arose, which Python's machinery of imports is not."""
    last = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename][-1]
    return f"{last.filename}, line {last.lineno}"
