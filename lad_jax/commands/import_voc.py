"""Import Pascal VOC: write train.json, val.json, … in COCO's format for a folder of pictures and XML files.

    python -m lad_jax import-voc VOC2007                         # Annotations, JPEGImages, ImageSets/Main
    python -m lad_jax import-voc cells --val_share=0.2           # XML files beside the pictures

Nothing is copied or overwritten. The classes are the same in all files.
"""

from absl import flags

from lad_jax.commands.importing import options
from lad_jax.commands.importing.voc import import_voc

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Define the flags of this command."""
    options.define_flags("all names in the splits that are imported, in alphabetical order")
    flags.DEFINE_enum(
        "coordinates",
        "voc",
        ["voc", "edges"],
        "voc: pixels counted from 1, the last one included; edges: distances from the picture's corner, as LabelImg "
        "and CVAT write them.",
    )
    flags.DEFINE_bool("keep_difficult", False, "Take difficult objects as any others; default: count them nowhere.")


def main(arguments: list[str]) -> None:
    """Run the command."""
    import_voc(options.parse_flags(arguments), coordinates=FLAGS.coordinates, keep_difficult=FLAGS.keep_difficult)
