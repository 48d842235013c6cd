"""Logging and error messages of all command lines. Imports no jax, so that `--help` is quick."""

import errno
import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from absl import app

from lad_jax.errors import InputError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def start(program: Callable[[list[str]], None]) -> None:
    """Run `program` on the command line's arguments; an error that the user can put right becomes one message."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "lad_jax" / "jax"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))  # compiled programs, for the next run
    app.run(partial(_run, program), flags_parser=_parse_flags)


def message_of(error: Exception) -> str | None:
    """The message for an error that the user can put right; None for any other error."""
    if isinstance(error, InputError):
        return str(error)
    full = isinstance(error, OSError) and error.errno in DISK_FULL
    if full or "No space left on device" in str(error):  # tensorstore calls this RESOURCE_EXHAUSTED, as jax the other
        return f"nothing more can be written to the disk: {error}. Free some space, and start the same command again."
    if "RESOURCE_EXHAUSTED" in str(error):
        return (
            "the device has not enough memory. In training raise config.train.accumulate, which changes nothing but "
            "memory and time; so do config.model.remat_towers=True and then config.model.backbone.remat=True. In "
            "evaluation lower config.evaluation.batch_size. Else set config.model.dtype=bfloat16, or lower "
            "config.data.short_side. "
            f"Reason: {str(error)[:300]}"
        )
    if "Gloo" in str(error):
        return (
            "another process of this run has ended, or cannot be reached: see what it said. Start all processes again: "
            f"the run goes on from its last checkpoint. Reason: {str(error)[:300]}"
        )
    return None


def _run(program: Callable[[list[str]], None], arguments: list[str]) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", force=True)
    # Through absl orbax warns of every checkpoint without an AP, and shows the traceback of whatever it raises as well;
    # httpx2 names every request.
    for noisy, level in {"absl": logging.CRITICAL, "jax": logging.ERROR, "httpx2": logging.ERROR}.items():
        logging.getLogger(noisy).setLevel(level)
    try:
        program(arguments)
    except Exception as error:
        message = message_of(error)
        if message is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)


def _parse_flags(arguments: list[str]) -> list[str]:
    """Parse flags by absl; ml_collections' message about an unknown config key becomes one line."""
    try:
        return app.parse_flags_with_usage(arguments)
    except (AttributeError, KeyError) as error:
        print(f"error: {unknown_key(error)}", file=sys.stderr)
        sys.exit(2)


def unknown_key(error: AttributeError | KeyError) -> str:
    """The message for a key on the command line that a config does not have, as one line."""
    [reason] = error.args
    words = reason.args[0] if isinstance(reason, KeyError) else reason
    return f"unknown config key on the command line: {' '.join(str(words).split())}"
