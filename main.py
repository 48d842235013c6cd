"""Train, evaluate, run or export a detector.

    python main.py --config=configs/demo.py:paa --workdir=runs/paa
    python main.py --config=configs/demo.py:paa --workdir=runs/paa --mode=eval
    python main.py --workdir=runs/paa --mode=predict --images='photos/*.jpg'
    python main.py --workdir=runs/paa --mode=export --output=paa.zip

Any option can be given on the command line: `--config.train.epochs=24`; `python -m lad_jax options` lists them.
"""

from pathlib import Path

from absl import flags

from lad_jax import cli
from lad_jax.commands import export, predict
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
    if FLAGS.images:
        raise InputError("--images is for --mode=predict.")
    if FLAGS.mode == "export":
        return export.export_from(FLAGS.workdir)
    if FLAGS.threshold is not None:
        raise InputError("--threshold is for --mode=predict and --mode=export.")
    start(FLAGS.mode, from_config(RunOptions, FLAGS.config), Path(local_path(FLAGS.workdir, "--workdir")))


if __name__ == "__main__":
    predict.define_flags()
    export.define_export()
    flags.DEFINE_enum("mode", "train", ["train", "eval", "predict", "plan", "export"], "What to do.")
    flags.register_multi_flags_validator(
        ["mode", "config"],
        lambda values: values["mode"] in ("predict", "export") or values["config"] is not None,
        "--config must be given.",
    )
    cli.start(main, cli.Takes(words=None))
