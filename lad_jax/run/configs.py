"""Options of a config file and a command line, for programs that start others."""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from lad_jax.cli import FLAG_ERRORS, define_config, flag_message, refuse_words
from lad_jax.config import from_config
from lad_jax.errors import InputError
from lad_jax.options import RunOptions
from lad_jax.paths import local_path


def load_options(config: str, arguments: Sequence[str], *, named_by: str = "") -> RunOptions:
    """Options that a config file gives with further arguments, as `main.py` reads them.

    Args:
      config: path of a config file, with a variant after a colon where it has some.
      arguments: `--config.KEY=VALUE` and other flags, which are left aside.
      named_by: what names the config, for the message; empty: the user.

    Raises:
      InputError: there is no such file, or it or an argument is refused.
    """
    path, _, _ = local_path(config, "the config").partition(":")
    if not Path(path).is_file():
        named = f"{named_by} names it" if named_by else "give the path of a config file"
        raise InputError(f"there is no config {path}: {named}. Paths are from the repository's root.")
    values, words = flags.FlagValues(), ["main.py", f"--config={config}", *arguments]
    define_config(values, words)
    try:
        rest = values(words, known_only=True)
        refuse_words([word for word in rest[1:] if not word.startswith("-")])
    except FLAG_ERRORS as error:
        raise InputError(f"{config}: {flag_message(error)}") from None
    try:
        return from_config(RunOptions, values.config)
    except InputError as error:
        raise InputError(f"{config}: {error}") from None
