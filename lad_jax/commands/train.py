"""Train a detector, or go on with the run in the workdir.

    python -m lad_jax train --config=configs/demo.py:paa --workdir=runs/paa

Any option can be given on the command line: `--config.train.epochs=24`; `python -m lad_jax options` lists them.
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

    start("train", from_config(RunOptions, FLAGS.config), FLAGS.workdir)
