"""What a run would train on, how long, in how much memory, and what it would write; nothing is trained.

    python -m lad_jax plan --config=configs/demo.py:paa --workdir=runs/paa

Compiles the run's programs, does a few steps, and throws them away. Times are of this machine.
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

    start("plan", from_config(RunOptions, FLAGS.config), FLAGS.workdir)
