"""Inspect a data set before training: counts, sizes, canvases, anchors, suspicious boxes, a sheet of pictures.

    python -m lad_jax check --config=configs/your_data.py:data/cells
    python -m lad_jax check --config=configs/your_data.py:data/cells --config.model.anchor_scale=4 --all

Lines that begin with `!` deserve attention. What in the data would stop a training run is an error. Sizes are
those that `data.short_side` gives, also where training draws from several.
"""

from absl import flags

from lad_jax.cli import define_config
from lad_jax.commands.checking.program import check
from lad_jax.commands.flags import define_path
from lad_jax.config import from_config
from lad_jax.options import RunOptions

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Define the flags of this command."""
    define_config()
    flags.mark_flag_as_required("config")
    flags.DEFINE_bool("all", False, "Decode every picture, instead of 64 of each split.")
    define_path("sheet", "runs/check", "Folder for train.png and val.png: pictures with boxes.")
    flags.DEFINE_integer("pictures", 16, "Pictures on a sheet.", lower_bound=1)


def main(_: list[str]) -> None:
    """Run the command."""

    options = from_config(RunOptions, FLAGS.config)
    check(
        options.data,
        strides=options.model.strides,
        anchor_scale=options.model.anchor_scale,
        most=options.evaluation.postprocess.counted,
        decode=None if FLAGS.all else 64,
        sheet=FLAGS.sheet,
        pictures=FLAGS.pictures,
    )
