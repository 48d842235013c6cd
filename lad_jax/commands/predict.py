"""Detect objects in pictures by a network that a run has trained.

    python -m lad_jax predict --workdir=runs/paa --images='photos/*.jpg'
    python -m lad_jax predict --workdir=runs/paa --images a.jpg b.jpg --threshold=0.5
    python -m lad_jax predict --workdir=zoo:lad_r50_r101_1x --images=photos

Writes the pictures with boxes, and `predictions.json`. How predictions become detections is as in the run; with
`--config` it is as that says.
"""

from absl import flags

from lad_jax.cli import define_config
from lad_jax.commands.flags import define_predict, define_source
from lad_jax.config import from_config

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Define the flags of this command."""
    define_config()
    define_source()
    define_predict()


def main(arguments: list[str]) -> None:
    """Run the command."""
    from lad_jax.options import RunOptions
    from lad_jax.run.start import start_prediction

    options = from_config(RunOptions, FLAGS.config) if FLAGS.config else None
    start_prediction(options, FLAGS.workdir, [*FLAGS.images, *arguments[1:]], FLAGS.output, FLAGS.threshold)
