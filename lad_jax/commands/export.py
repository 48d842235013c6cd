"""Export a trained network into one file that runs without this package, on CPUs, NVIDIA GPUs and TPUs.

    python -m lad_jax export runs/paa --output=paa.zip
    python -m lad_jax export runs/paa --output=paa.zip --canvas=800x1344,1344x800

Without `--canvas` it takes pictures of any shape. docs/export.md shows how it is run.
"""

from absl import flags

from lad_jax.commands.flags import define_path
from lad_jax.errors import InputError
from lad_jax.paths import source_path

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Define the flags of this command."""
    define_path("output", None, "The new file.")
    flags.DEFINE_float(
        "threshold", None, "Least score of a detection; default: the run's.", lower_bound=0, upper_bound=1
    )
    define_export()


def define_export() -> None:
    """Define the flags that `predict` has not: `--canvas`, `--network` and `--max_detections`."""
    flags.DEFINE_string(
        "canvas",
        None,
        "export: HEIGHTxWIDTH of the pictures that it takes, with their padding; several with commas.",
    )
    flags.DEFINE_string("network", None, "export: which network; default: evaluation.network of the run.")
    flags.DEFINE_integer(
        "max_detections", None, "export: most detections of a picture; default: the run's.", lower_bound=1
    )


def main(arguments: list[str]) -> None:
    """Run the command."""
    if len(arguments) != 2:
        raise InputError("give one workdir and --output; see --help.")
    export_from(source_path(arguments[1], "the workdir"))


def export_from(source: str) -> None:
    """Export a run's network as the flags say.

    Raises:
      InputError: `--output` is not given; see also `export`.
    """
    from lad_jax.run.export import export, parse_canvases

    if FLAGS.output is None:
        raise InputError("--output must be given: the new file.")
    export(
        source,
        FLAGS.output,
        () if FLAGS.canvas is None else parse_canvases(FLAGS.canvas),
        network=FLAGS.network,
        threshold=FLAGS.threshold,
        max_detections=FLAGS.max_detections,
    )
