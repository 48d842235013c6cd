"""Import YOLO's format: write train.json, val.json, … in COCO's format for a folder of pictures and text files.

    python -m lad_jax import-yolo cells                          # images/train, labels/train, data.yaml
    python -m lad_jax import-yolo cells --val_share=0.2          # text files beside the pictures, classes.txt

Nothing is copied or overwritten. The classes are the same in all files.
"""

from lad_jax.commands.importing import options
from lad_jax.commands.importing.yolo import CLASS_FILES, import_yolo


def define_flags() -> None:
    """Define the flags of this command."""
    options.define_flags(f"the first of {', '.join(CLASS_FILES)} in the folder")


def main(arguments: list[str]) -> None:
    """Run the command."""
    import_yolo(options.parse_flags(arguments))
