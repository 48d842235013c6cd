"""Options of a config file and a command line, for programs that start others."""

from collections.abc import Sequence

from absl import flags

from lad_jax.cli import FLAG_ERRORS, define_config, flag_message, refuse_words
from lad_jax.config import from_config
from lad_jax.config_files import find_config
from lad_jax.errors import InputError
from lad_jax.options import RunOptions


def load_options(config: str, arguments: Sequence[str], *, named_by: str = "") -> RunOptions:
    """Options that a config file gives with further arguments, as `main.py` reads them.

    Args:
      config: path or name of a config file, with a variant after a colon where it has some.
      arguments: `--config.KEY=VALUE` and other flags, which are left aside.
      named_by: what names the config, for the message; empty: the user.

    Raises:
      InputError: there is no such file, or it or an argument is refused.
    """
    found = find_config(config, named_by or "the config")
    values, words = flags.FlagValues(), ["main.py", f"--config={found}", *arguments]
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
