"""Train, evaluate or run a detector.

    python main.py --config=configs/demo.py:paa --workdir=runs/paa
    python main.py --config=configs/demo.py:paa --workdir=runs/paa --mode=eval
    python main.py --config=configs/demo.py:paa --workdir=runs/paa --mode=predict --images='photos/*.jpg'

Any option can be given on the command line: `--config.train.epochs=24`.
"""

import os
import signal
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from lad_jax import cli

FLAGS = flags.FLAGS
config_flags.DEFINE_config_file("config", None, "Config file, with a variant after a colon where it has some.")
flags.DEFINE_string("workdir", None, "Folder of the run: checkpoints, logs, results. A run in it is resumed.")
flags.DEFINE_enum("mode", "train", ["train", "eval", "predict"], "What to do.")
flags.DEFINE_string("images", "", "predict: a picture, a folder of pictures or a glob pattern.")
flags.DEFINE_string("output", "", "predict: folder for the results; default WORKDIR/predictions.")


def main(_: list[str]) -> None:
    from lad_jax import RunOptions, from_config, run
    from lad_jax.train import hosts

    options = from_config(RunOptions, FLAGS.config)
    workdir = Path(FLAGS.workdir)
    if options.train.deterministic:  # read when JAX looks for devices, which nothing has done yet
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true"
    with hosts.joined(options.hosts):
        if FLAGS.mode != "train":  # JAX, which has joined several processes, keeps the signal for who saves
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if FLAGS.mode == "train":
            run.train(options, workdir)
        elif FLAGS.mode == "eval":
            run.evaluate(options, workdir)
        else:
            run.predict(options, workdir, FLAGS.images, Path(FLAGS.output or workdir / "predictions"))


if __name__ == "__main__":
    flags.mark_flags_as_required(["config", "workdir"])
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "lad_jax" / "jax"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))  # compiled programs, for the next run
    cli.start(main)
