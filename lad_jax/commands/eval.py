"""Evaluate the networks that a run has trained, by its best checkpoint.

python -m lad_jax eval --config=configs/demo.py:paa --workdir=runs/paa
"""

from absl import flags

from lad_jax.commands.flags import define_run
from lad_jax.config import from_config

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Define the flags of this command."""
    define_run()


def main(_: list[str]) -> None:
    """Run the command."""
    from lad_jax.options import RunOptions
    from lad_jax.run.start import start

    start("eval", from_config(RunOptions, FLAGS.config), FLAGS.workdir)
