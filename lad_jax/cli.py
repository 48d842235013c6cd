"""Logging and error messages of all command lines. Imports no jax, so that `--help` is quick."""

import errno
import logging
import os
import re
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from absl import app, flags

from lad_jax.ending import EXIT_CODES, interrupt
from lad_jax.errors import InputError, place_of, reason_of
from lad_jax.streams import LenientStream

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def start(program: Callable[[list[str]], None]) -> None:
    """Run `program` on the command line's arguments; an error that the user can put right becomes one message.

    SIGTERM and Ctrl-C are raised in it, and end it with the codes of `EXIT_CODES`; printing does not.
    """
    sys.stdout, sys.stderr = LenientStream(sys.stdout), LenientStream(sys.stderr)
    signal.signal(signal.SIGTERM, interrupt)
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
        if isinstance(sys.stdout, LenientStream):
            sys.stdout.check()
    except KeyboardInterrupt:
        sys.exit(EXIT_CODES[signal.SIGINT])
    except Exception as error:
        message = message_of(error)
        if message is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)


def _parse_flags(arguments: list[str]) -> list[str]:
    """Parse flags by absl; an error becomes one line."""
    try:
        arguments = flags.FLAGS(arguments)
        if "config" in flags.FLAGS:
            hasattr(flags.FLAGS.config, "lock")  # where there is no such file, ml_collections raises an OSError now
        return arguments
    except FLAG_ERRORS as error:
        print(f"error: {flag_message(error)}", file=sys.stderr)
        sys.exit(2)


GROUP = "config.assigner.options"
GROUP_HINT = f""". Options of an assigner from outside are set together: --{GROUP}='{{"near": 40}}'"""
FLAG_ERRORS = (flags.Error, AttributeError, KeyError, OSError, ImportError, SyntaxError)


def flag_message(error: Exception) -> str:
    """The message, as one line, for one of `FLAG_ERRORS`: of flags, or of the config file that they name."""
    if isinstance(error, ImportError):
        return f"the config file cannot be imported. {reason_of(error)} ({place_of(error)})"
    if isinstance(error, SyntaxError):
        return f"the config file cannot be imported. {reason_of(error)}"
    if isinstance(error, OSError) and error.__cause__:  # ml_collections' reason, whose last line has the path
        return f"the config file cannot be read: {str(error.__cause__).splitlines()[-1].strip()}"
    if isinstance(error, OSError):
        return str(error)
    if isinstance(error, flags.Error):
        reason = str(error).strip()
        if "Error whilst parsing config file" in reason:  # with a traceback, whose last line is the config's message
            return re.sub(r"^[\w.]*Error: ", "", reason.splitlines()[-1])
        return f"{' '.join(reason.split())} --help lists the flags."
    [reason] = error.args
    words = reason.args[0] if isinstance(reason, KeyError) else reason
    hint = GROUP_HINT if any(argument.startswith(f"--{GROUP}.") for argument in sys.argv) else ""
    return f"unknown config key on the command line: {' '.join(str(words).split())}{hint}"
