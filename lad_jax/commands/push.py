"""Write a trained network to a repository of the Hugging Face hub: weights, config, classes and a card.

    python -m lad_jax push runs/paa OWNER/REPO
    python -m lad_jax push runs/paa OWNER/REPO --private --network=teacher

`lad_jax.load("hf://OWNER/REPO")` reads it. No picture is written: add one yourself, if it may be shown.
"""

from pathlib import Path

from absl import flags

from lad_jax.errors import InputError
from lad_jax.paths import local_path

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Define the flags of this command."""
    flags.DEFINE_bool("private", False, "Whether a new repository is for its owner alone.")
    flags.DEFINE_string("network", None, "Which network; default: evaluation.network of the run.")


def main(arguments: list[str]) -> None:
    """Run the command."""
    from lad_jax.run.push import push

    if len(arguments) != 3:
        raise InputError("give a workdir and OWNER/REPO; see --help.")
    _, workdir, repository = arguments
    print(push(Path(local_path(workdir, "the workdir")), repository, FLAGS.network, private=FLAGS.private))
