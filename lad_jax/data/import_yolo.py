"""Import YOLO's format: write train.json, val.json, … in COCO's format for a folder of pictures and text files.

    python -m lad_jax.data.import_yolo cells                          # images/train, labels/train, data.yaml
    python -m lad_jax.data.import_yolo cells --val_share=0.2          # text files beside the pictures, classes.txt

Nothing is copied or overwritten. The classes are the same in all files.
"""

from absl import flags

from lad_jax import cli
from lad_jax.data.importing import options
from lad_jax.data.importing.yolo import CLASS_FILES, import_yolo

options.define_flags(f"the first of {', '.join(CLASS_FILES)} in the folder")
flags.adopt_module_key_flags(options)


def main(arguments: list[str]) -> None:
    import_yolo(options.parse_flags(arguments))


if __name__ == "__main__":
    cli.start(main)
