"""Detect objects in pictures by a network that a run has trained.

    python -m lad_jax predict --config=configs/demo.py:paa --workdir=runs/paa --images='photos/*.jpg'

Writes the pictures with boxes, and `predictions.json`.
"""

from pathlib import Path

from absl import flags

from lad_jax.commands.flags import define_predict, define_run
from lad_jax.config import from_config

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Define the flags of this command."""
    define_predict()
    define_run()


def main(_: list[str]) -> None:
    """Run the command."""
    from lad_jax.options import RunOptions
    from lad_jax.run.start import start

    start(
        "predict",
        from_config(RunOptions, FLAGS.config),
        Path(FLAGS.workdir),
        images=FLAGS.images,
        output=FLAGS.output,
    )
