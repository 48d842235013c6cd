"""Commands: `python -m lad_jax COMMAND`.

    train        train a detector, or go on with a run
    eval         evaluate what a run has trained
    predict      detect objects in pictures
    check        look a data set over before training
    import-voc   write COCO's JSON for a folder in Pascal VOC's format
    import-yolo  write COCO's JSON for a folder in YOLO's format
    convert      weights of other programs in and out
    recipe       train a config with its teachers, from the first on
    options      list what a config can say

`python -m lad_jax COMMAND --help` tells more.
"""

import importlib
import sys
from types import ModuleType

from absl import flags

from lad_jax import cli

COMMANDS = ("train", "eval", "predict", "check", "import-voc", "import-yolo", "convert", "recipe", "options")


def main(arguments: list[str]) -> None:
    """Run the command that the first argument names; without one, list them."""
    name = arguments[0] if arguments else "--help"
    if name not in COMMANDS:
        asked = name in ("-h", "--help", "--helpfull", "help")
        print(__doc__ if asked else f"error: there is no command {name!r}.\n\n{__doc__}", file=sys.stderr)
        sys.exit(0 if asked else 2)
    command = importlib.import_module(f"lad_jax.commands.{name.replace('-', '_')}")
    sys.argv = [f"python -m lad_jax {name}", *arguments[1:]]
    command.define_flags()
    _describe(command)
    cli.start(command.main)


def _describe(command: ModuleType) -> None:
    """Let `--help` tell of a command what absl tells of a program: its text and its flags."""
    sys.modules["__main__"].__doc__ = command.__doc__
    for module in flags.FLAGS.flags_by_module_dict():
        if module.startswith("lad_jax.commands."):
            flags.adopt_module_key_flags(sys.modules[module])


if __name__ == "__main__":
    main(sys.argv[1:])
