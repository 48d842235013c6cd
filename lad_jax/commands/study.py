"""A study: runs of several conditions and seeds, and what they say, with spread.

    python -m lad_jax study studies/methods.py                     # what is known so far, from the records
    python -m lad_jax study studies/methods.py --workdirs=runs     # does the runs that are not there yet, then the same
    python -m lad_jax study studies/methods.py --workdirs=runs --parallel=2 --budget=3

Call it in the repository's root. A study is a Python file whose `get_study()` gives a `lad_jax.study.Study`. Each run
that ends leaves a record beside it, in `records`; tables, plots and JSON are made from these alone. What was ended or
killed is gone on with by the same command; so is what other machines that share the folder of the runs do not have in
hand. Options after `--` are added to every run: they make other runs, with other records.
"""

from pathlib import Path

from absl import flags

from lad_jax.commands.flags import define_path
from lad_jax.errors import InputError
from lad_jax.paths import local_path, make_folder

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Define the flags of this command."""
    define_path("workdirs", None, "Folder of the runs; without it nothing is run.")
    define_path("records", None, "Folder of the records; default: `records` beside the study's file.")
    define_path("output", None, "Folder for table.md, report.json and plots; default: none are written.")
    flags.DEFINE_integer("parallel", 1, "Number of runs at a time; each has its share of the cores.", lower_bound=1)
    flags.DEFINE_integer("seeds", None, "Number of seeds to run; default: all of the study.", lower_bound=1)
    flags.DEFINE_float("budget", float("inf"), "Hours after which runs are ended, saved.", lower_bound=0)


def main(arguments: list[str]) -> None:
    """Run the command."""
    if len(arguments) < 2:
        raise InputError("give a study, such as studies/methods.py; see --help.")
    import jax

    jax.config.update("jax_platforms", "cpu")  # the accelerator is for the runs, which are processes of their own
    from lad_jax.study.execute import Places, execute
    from lad_jax.study.files import load_study, write_report
    from lad_jax.study.records import read_records
    from lad_jax.study.report import make_report
    from lad_jax.study.runs import in_order, make_runs
    from lad_jax.study.tables import format_report

    _, file, *extra = arguments
    study = load_study(Path(local_path(file, "the study")))
    runs = make_runs(study, extra)
    records = FLAGS.records or Path(file).parent / "records"
    for folder in filter(None, (FLAGS.workdirs, FLAGS.output)):
        make_folder(folder, "folder")
    try:
        if FLAGS.workdirs:
            places = Places(FLAGS.workdirs, records, FLAGS.parallel, 3600 * FLAGS.budget)
            execute(list(in_order(study, runs, FLAGS.seeds)), places)
    finally:  # what is known is shown, too, where a run has failed or the program is ended
        report = make_report(study, runs, read_records(records, {run.name for run in runs.values()}))
        print(format_report(report))
        if FLAGS.output:
            write_report(report, FLAGS.output)
