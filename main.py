"""Train, evaluate or run a detector.

    python main.py --config=configs/demo.py:paa --workdir=runs/paa
    python main.py --config=configs/demo.py:paa --workdir=runs/paa --mode=eval
    python main.py --config=configs/demo.py:paa --workdir=runs/paa --mode=predict --images='photos/*.jpg'

Any option can be given on the command line: `--config.train.epochs=24`; `python -m lad_jax options` lists them.
"""

from pathlib import Path

from absl import flags

from lad_jax import cli
from lad_jax.commands.flags import define_predict, define_run

FLAGS = flags.FLAGS


def main(_: list[str]) -> None:
    from lad_jax import RunOptions, from_config
    from lad_jax.run.start import start

    options = from_config(RunOptions, FLAGS.config)
    start(FLAGS.mode, options, Path(FLAGS.workdir), images=FLAGS.images, output=FLAGS.output)


if __name__ == "__main__":
    define_run()
    flags.DEFINE_enum("mode", "train", ["train", "eval", "predict"], "What to do.")
    define_predict()
    cli.start(main)
