"""Train, evaluate or run a detector.

    python main.py --config=configs/demo.py:paa --workdir=runs/paa
    python main.py --config=configs/demo.py:paa --workdir=runs/paa --mode=eval
    python main.py --config=configs/demo.py:paa --workdir=runs/paa --mode=predict --images='photos/*.jpg'

Any option can be given on the command line: `--config.train.epochs=24`.
"""

import logging
import os
import sys
from pathlib import Path

from absl import app, flags
from ml_collections import config_flags

FLAGS = flags.FLAGS
config_flags.DEFINE_config_file("config", None, "Config file, with a variant after a colon where it has some.")
flags.DEFINE_string("workdir", None, "Folder of the run: checkpoints, logs, results. A run in it is resumed.")
flags.DEFINE_enum("mode", "train", ["train", "eval", "predict"], "What to do.")
flags.DEFINE_string("images", "", "predict: a picture, a folder of pictures or a glob pattern.")
flags.DEFINE_string("output", "", "predict: folder for the results; default WORKDIR/predictions.")


def main(_: list[str]) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", force=True)
    for noisy in ("absl", "jax"):  # orbax warns through absl of every checkpoint that is saved without an evaluation
        logging.getLogger(noisy).setLevel(logging.ERROR)

    from lad_jax import RunOptions, from_config, run

    try:
        options = from_config(RunOptions, FLAGS.config)
        workdir = Path(FLAGS.workdir)
        if FLAGS.mode == "train":
            run.train(options, workdir)
        elif FLAGS.mode == "eval":
            run.evaluate(options, workdir)
        else:
            run.predict(options, workdir, FLAGS.images, Path(FLAGS.output or workdir / "predictions"))
    except Exception as error:
        message = message_of(error)
        if message is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)


def message_of(error: Exception) -> str | None:
    """What to tell the user of an error that they can put right; None for any other."""
    from lad_jax import InputError

    if isinstance(error, InputError):
        return str(error)
    if "RESOURCE_EXHAUSTED" in str(error):
        return (
            "the device has not enough memory. Lower config.train.batch_size, config.evaluation.batch_size or "
            f"config.data.short_side, or set config.model.dtype=bfloat16. Reason: {str(error)[:300]}"
        )
    return None


def parse_flags(arguments: list[str]) -> list[str]:
    """absl's parser; what ml_collections says of a key that the config does not have becomes one line."""
    try:
        return app.parse_flags_with_usage(arguments)
    except (AttributeError, KeyError) as error:
        print(f"error: unknown config key on the command line: {error.args[0]}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    flags.mark_flags_as_required(["config", "workdir"])
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "lad_jax" / "jax"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))  # compiled programs, for the next run
    app.run(main, flags_parser=parse_flags)
