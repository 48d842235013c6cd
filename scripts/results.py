"""Write the tables and plots of docs/results.md, and the README's table, from the records of the studies.

    python -m scripts.results

Each stands between two comments that name its study, and is replaced; the plots are in `docs/studies`.
"""

import functools
import re
from pathlib import Path

from lad_jax.study.files import load_study
from lad_jax.study.plots import write_plots
from lad_jax.study.records import read_records
from lad_jax.study.report import Report, make_report
from lad_jax.study.runs import make_runs
from lad_jax.study.tables import format_brief, format_report

README, PAGE, PLOTS, STUDIES = Path("README.md"), Path("docs/results.md"), Path("docs/studies"), Path("studies")
SECTION = re.compile(r"(<!-- (study|brief): (\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


def main() -> None:
    for _, _, name, _ in SECTION.findall(PAGE.read_text()):
        if any(row.pairs for row in report_of(name).compared):
            (PLOTS / name).mkdir(parents=True, exist_ok=True)
            write_plots(report_of(name), PLOTS / name)
    for page in (README, PAGE):
        page.write_text(with_sections(page.read_text()))


def with_sections(text: str) -> str:
    """A page with its sections as the records have them."""

    def filled(match: re.Match[str]) -> str:
        begin, kind, name, end = match.groups()
        return begin + (section(name) if kind == "study" else f"{format_brief(report_of(name))}\n") + end

    return SECTION.sub(filled, text)


def section(name: str) -> str:
    """Command, tables and plots of a study."""
    plots = [f"{PLOTS.name}/{name}/{kind}.svg" for kind in ("differences", "curves")]
    pictures = [f"![{Path(plot).stem}]({plot})\n" for plot in plots if (PAGE.parent / plot).exists()]
    command = f"`python -m lad_jax study studies/{name}.py --workdirs=runs`"
    return "\n".join([f"\n{command}\n", format_report(report_of(name)), *pictures])


@functools.cache
def report_of(name: str) -> Report:
    """What the records say of a study."""
    study = load_study(STUDIES / f"{name}.py")
    runs = make_runs(study)
    return make_report(study, runs, read_records(STUDIES / "records", {run.name for run in runs.values()}))


if __name__ == "__main__":
    main()
