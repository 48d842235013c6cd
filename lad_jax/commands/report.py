"""A report of runs as one page: who was responsible for what and why, how training went, what a detector gets wrong.

    python -m lad_jax report runs/paa runs/lad --output=report.html
    python -m lad_jax report runs/paa --record                      # of a run that has recorded nothing

Runs must have been evaluated on the same pictures. The page is one file, which a browser opens without a server or a
network. What is left out to keep it below 20 MB is said on it.
"""

from pathlib import Path

from absl import flags

from lad_jax.commands.flags import define_path
from lad_jax.errors import InputError
from lad_jax.paths import local_path

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Define the flags of this command."""
    define_path("output", "report.html", "The page.")
    flags.DEFINE_bool("record", False, "First record the runs anew, from their checkpoints.")
    meaning = "Largest number of pictures; default: all that are recorded."
    flags.DEFINE_integer("pictures", None, meaning, lower_bound=1)


def main(arguments: list[str]) -> None:
    """Run the command."""
    if len(arguments) < 2:
        raise InputError("give the workdirs of one or more runs, such as runs/paa; see --help.")
    from lad_jax.report.report import report
    from lad_jax.run.record import record

    workdirs = [Path(local_path(word, "a workdir")) for word in arguments[1:]]
    for workdir in workdirs if FLAGS.record else []:
        record(workdir, FLAGS.pictures)
    for line in report(workdirs, FLAGS.output, FLAGS.pictures):
        print(line)
