"""Train, evaluate or run a detector.

    python main.py --config=configs/demo.py:paa --workdir=runs/paa
    python main.py --config=configs/demo.py:paa --workdir=runs/paa --mode=eval
    python main.py --workdir=runs/paa --mode=predict --images='photos/*.jpg'

Any option can be given on the command line: `--config.train.epochs=24`; `python -m lad_jax options` lists them.
"""

from pathlib import Path

from absl import flags

from lad_jax import cli
from lad_jax.commands import predict
from lad_jax.config import from_config
from lad_jax.errors import InputError
from lad_jax.paths import local_path

FLAGS = flags.FLAGS


def main(arguments: list[str]) -> None:
    from lad_jax import RunOptions
    from lad_jax.run.start import start

    if FLAGS.mode == "predict":
        return predict.main(arguments)
    cli.refuse_words(arguments[1:])
    if FLAGS.images or FLAGS.threshold is not None:
        raise InputError("--images and --threshold are for --mode=predict.")
    start(FLAGS.mode, from_config(RunOptions, FLAGS.config), Path(local_path(FLAGS.workdir, "--workdir")))


if __name__ == "__main__":
    predict.define_flags()
    flags.DEFINE_enum("mode", "train", ["train", "eval", "predict", "plan"], "What to do.")
    flags.register_multi_flags_validator(
        ["mode", "config"],
        lambda values: values["mode"] == "predict" or values["config"] is not None,
        "--config must be given.",
    )
    cli.start(main, cli.Takes(words=None))
