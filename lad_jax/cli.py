"""Logging and error messages of all command lines. Imports no jax, so that `--help` is quick."""

import errno
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from absl import app, flags
from ml_collections import ConfigDict, config_flags

from lad_jax.config import check_key
from lad_jax.config_files import find_config
from lad_jax.ending import EXIT_CODES, interrupt
from lad_jax.errors import InputError, place_of, reason_of
from lad_jax.paths import cache_folder
from lad_jax.streams import LenientStream

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Takes(NamedTuple):
    """What a command takes beside its flags."""

    words: int | None = 0
    """Largest number of words; None: any."""
    more: bool = False
    """Whether arguments for the commands that it starts may follow after `--`."""


def start(program: Callable[[list[str]], None], takes: Takes) -> None:
    """Run a program on the command line's arguments; an error that the user can put right becomes one message.

    SIGTERM and Ctrl-C are raised in it, and end it with the codes of `EXIT_CODES`; printing does not.

    Args:
      program: gets its name and what is no flag.
      takes: what that may be; any other is refused.
    """
    sys.stdout, sys.stderr = LenientStream(sys.stdout), LenientStream(sys.stderr)
    signal.signal(signal.SIGTERM, interrupt)
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache_folder("jax")))  # compiled programs, for the next run
    _show_flags()
    app.run(partial(_run, program), flags_parser=partial(_parse_flags, takes))


def _show_flags() -> None:
    """Let `--help` list the package's flags, as absl does those of a program's main module, named by argv."""
    for module, defined in flags.FLAGS.flags_by_module_dict().items():
        if module.startswith("lad_jax."):
            for flag in defined:
                flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)


def define_config(values: flags.FlagValues = flags.FLAGS, words: Sequence[str] | None = None) -> None:
    """Define `--config`; any option is set by `--config.KEY=VALUE`.

    Args:
      values: the flags to add it to.
      words: the command line with the program's name; None: that of this process.
    """
    meaning = "Config file, or the name of one of the package's; with a variant after a colon where it has some."
    config_flags.DEFINE_config_file("config", None, meaning, flag_values=values, sys_argv=words)
    values["config"].parser = _ConfigParser(values["config"].parser, words)


def refuse_words(words: Sequence[str]) -> None:
    """Refuse words that no flag precedes.

    Raises:
      InputError: there are some.
    """
    if not words:
        return
    if words[0].startswith("-"):
        hint = "After a lone -- nothing is taken for a flag."
    elif "=" in words[0]:
        hint = f"Did you mean --{words[0]}?"
    else:
        hint = "A value with spaces, or a pattern, needs quotes."
    raise InputError(f"nothing is meant by {' '.join(words)!r}: there are only flags here, --NAME=VALUE. {hint}")


def message_of(error: Exception) -> str | None:
    """The message for an error that the user can put right; None for any other error."""
    if isinstance(error, InputError):
        return str(error)
    full = isinstance(error, OSError) and error.errno in DISK_FULL
    if full or "No space left on device" in str(error):  # tensorstore calls this RESOURCE_EXHAUSTED, as jax the other
        return f"nothing more can be written to the disk: {error}. Free some space, and start the same command again."
    if "RESOURCE_EXHAUSTED" in str(error):
        return (
            "the device has not enough memory. In training raise config.train.accumulate; then set "
            "config.model.remat_towers=True and config.model.backbone.remat=True: these change memory and time only, "
            "and what a Swin's drop path draws. In "
            "evaluation lower config.evaluation.batch_size. Else set config.dtype=bfloat16, or lower "
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


class _ConfigParser(flags.ArgumentParser):  # type: ignore[misc]
    """Parser of `--config` that finds the file, and knows the keys that there are, which ml_collections' does not."""

    def __init__(self, parser: flags.ArgumentParser, words: Sequence[str] | None) -> None:
        self._parser, self._words = parser, words

    def parse(self, argument: str) -> Any:
        """The config, which has all keys that the command line sets; else raise InputError."""
        config = self._parser.parse(find_config(argument, "--config"))
        if isinstance(config, ConfigDict):  # else there was an error in it, which ml_collections raises later
            for word in sys.argv if self._words is None else self._words:
                if match := _OVERRIDE.match(word):
                    check_key(config, match[1])
        return config


def _parse_flags(takes: Takes, arguments: list[str]) -> list[str]:
    """Parse flags by absl; an error becomes one line."""
    more = arguments[arguments.index("--") + 1 :] if "--" in arguments and takes.more else []
    try:
        arguments = flags.FLAGS(arguments)
        if "config" in flags.FLAGS:
            hasattr(flags.FLAGS.config, "lock")  # where there is no such file, ml_collections raises an OSError now
        if takes.words is not None:
            refuse_words(arguments[1 + takes.words : len(arguments) - len(more)])
        return arguments
    except FLAG_ERRORS as error:
        print(f"error: {flag_message(error)}", file=sys.stderr)
        sys.exit(2)


GROUP = "config.assigner.options"
GROUP_HINT = f""" Options of an assigner from outside are set together: --{GROUP}='{{"near": 40}}'"""
FLAG_ERRORS = (flags.Error, InputError, AttributeError, KeyError, OSError, ImportError, SyntaxError)
_OVERRIDE = re.compile(r"--?(?:no)?config\.([^=]*)")
"""An argument that sets a key of the config."""


def flag_message(error: Exception) -> str:
    """The message, as one line, for one of `FLAG_ERRORS`: of flags, or of the config file that they name."""
    if isinstance(error.__context__, InputError):  # which absl has taken for a value of a wrong form
        error = error.__context__
    if isinstance(error, InputError):
        return f"{error}{GROUP_HINT if f' {GROUP}.' in str(error) else ''}"
    if isinstance(error, flags.UnrecognizedFlagError) and error.flagname.startswith("config."):
        return f"--{error.flagname} changes a config, but none is given: add --config=FILE."
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
    return f"the config file cannot be used. {reason_of(error)} ({place_of(error)})"
