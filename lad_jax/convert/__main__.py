"""Convert weights of mmdet, of the paper's authors, of torchvision or timm, and back to mmdet.

    python -m lad_jax.convert paa_r50.pth --config=configs/base.py --classes=coco --workdir=runs/paa_r50
    python -m lad_jax.convert runs/paa_r50 --to=mmdet --output=paa_r50.pth

Weights are read from and written to `.pth` (with torch installed), `.safetensors` and `.npz`.
"""

from pathlib import Path

from absl import flags
from ml_collections import config_flags

from lad_jax import cli

FLAGS = flags.FLAGS
config_flags.DEFINE_config_file("config", None, "Config of the run that could have trained the weights.")
flags.DEFINE_string("workdir", None, "Folder for the checkpoint.")
flags.DEFINE_string("classes", "", "'coco', or a file with a class name a line; default: those of the validation data.")
flags.DEFINE_enum("to", None, ["mmdet"], "The other way: write a network of a workdir.")
flags.DEFINE_string("output", None, "--to: the file; its suffix is .pth, .safetensors or .npz.")
flags.DEFINE_string("network", None, "--to: which network; default: the one that the run was evaluated by.")


def main(arguments: list[str]) -> None:
    from lad_jax.config import from_config
    from lad_jax.convert import program
    from lad_jax.errors import InputError
    from lad_jax.options import RunOptions

    needed = ["output"] if FLAGS.to else ["config", "workdir"]
    missing = [f"--{name}" for name in needed if FLAGS[name].value is None]
    if missing or len(arguments) != 2:
        what = "one workdir" if FLAGS.to else "one file of weights"
        raise InputError(f"give {what} and {' and '.join(f'--{name}' for name in needed)}; see --help.")
    if FLAGS.to:
        program.into_mmdet(Path(arguments[1]), Path(FLAGS.output), FLAGS.network)
    else:
        program.into_workdir(arguments[1], from_config(RunOptions, FLAGS.config), Path(FLAGS.workdir), FLAGS.classes)


if __name__ == "__main__":
    cli.start(main)
