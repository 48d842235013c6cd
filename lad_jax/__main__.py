"""Commands: `lad-jax COMMAND`, or `python -m lad_jax COMMAND`.

    train        train a detector, or go on with a run
    eval         evaluate what a run has trained
    predict      detect objects in pictures
    plan         what a run would train on, take and write; nothing is trained
    check        inspect a data set before training
    import-voc   write COCO's JSON for a folder in Pascal VOC's format
    import-yolo  write COCO's JSON for a folder in YOLO's format
    export       write a detector as one file that runs without this package
    convert      weights of other programs in and out
    report       one page: who is responsible and why, curves, what detectors get wrong
    push         write a trained network to the Hugging Face hub
    zoo          list published detectors, or fetch one
    recipe       train a config with its teachers, from the first on
    study        train conditions with several seeds, and compare them
    options      list what a config can say

`lad-jax COMMAND --help` lists a command's flags.
"""

import difflib
import importlib
import sys
from pathlib import Path

from lad_jax import cli
from lad_jax.cli import Takes

COMMANDS = {
    "train": Takes(),
    "eval": Takes(),
    "predict": Takes(words=None),
    "plan": Takes(),
    "check": Takes(),
    "import-voc": Takes(words=1),
    "import-yolo": Takes(words=1),
    "export": Takes(words=1),
    "convert": Takes(words=1),
    "report": Takes(words=None),
    "push": Takes(words=2),
    "zoo": Takes(words=1),
    "recipe": Takes(words=1, more=True),
    "study": Takes(words=1, more=True),
    "options": Takes(words=1),
}
"""Commands, and what each takes beside its flags."""


def main(arguments: list[str]) -> None:
    """Run the command that the first argument names; without one, list them."""
    name = arguments[0] if arguments else "--help"
    if name not in COMMANDS:
        if name in ("-h", "--help", "--helpfull", "help"):
            return print(__doc__)
        guess = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f" Did you mean {guess[0]!r}?" if guess else ""
        print(f"error: there is no command {name!r}.{hint} --help lists them.", file=sys.stderr)
        sys.exit(2)
    command = importlib.import_module(f"lad_jax.commands.{name.replace('-', '_')}")
    program = "lad-jax" if Path(sys.argv[0]).stem == "lad-jax" else "python -m lad_jax"
    sys.argv = [f"{program} {name}", *arguments[1:]]
    command.define_flags()
    sys.modules["__main__"].__doc__ = command.__doc__  # absl's --help prints that of the main module
    cli.start(command.main, COMMANDS[name])


def console() -> None:
    """The program `lad-jax`."""
    main(sys.argv[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
