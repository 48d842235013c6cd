"""A study's report as Markdown."""

import statistics
from collections.abc import Sequence

from lad_jax.study.report import Compared, Report, Trained

Cells = Sequence[str]


def format_report(report: Report) -> str:
    """Two tables: what was trained, and what differs."""
    trained = [_trained_cells(row) for row in report.trained if row.aps]
    compared = [_compared_cells(row, report.seeds) for row in report.compared if row.pairs]
    if not trained:
        return f"{report.question}\n\nNo run is finished yet.\n"
    heads = ["data", "network", "AP", "AP50", "seeds", "seconds a run"]
    tables = [_table(heads, trained)]
    if compared:
        heads = ["data", "difference of AP", "mean", "95 % interval", "p (Holm)", "won", "verdict", "over pictures"]
        tables.append(_table([*heads, "machine (pairs)"], compared))
    return "\n\n".join([report.question, *tables]) + "\n"


def format_brief(report: Report) -> str:
    """One table: the condition's AP of each comparison, and the difference to its baseline."""
    rows = []
    for row in report.compared:
        if row.pairs:
            condition, baseline = row.label.split(" − ")
            cells = _compared_cells(row, report.seeds)
            difference = f"{cells[2]} ({cells[3]})" if cells[3] else cells[2]
            rows.append((row.data, condition, _spread([ap for ap, _ in row.pairs]), baseline, difference, cells[6]))
    return _table(["data", "network", "AP", "against", "difference (95 % interval)", "verdict"], rows)


def _trained_cells(row: Trained) -> Cells:
    return (
        row.data,
        row.label,
        _spread(row.aps),
        f"{statistics.mean(row.ap50s):.1f}",
        str(len(row.aps)),
        f"{statistics.mean(row.seconds):.0f}",
    )


def _compared_cells(row: Compared, seeds: int) -> Cells:
    mean = statistics.mean(ours - theirs for ours, theirs in row.pairs)
    machines = ", ".join(f"{machine} ({n})" for machine, n in row.machines.items())
    d = row.difference
    return (
        row.data,
        row.label,
        f"{mean:+.2f}",
        f"{d.low:+.2f} … {d.high:+.2f}" if d else "",
        "" if row.corrected_p is None else f"{row.corrected_p:.3f}",
        f"{sum(ours > theirs for ours, theirs in row.pairs)} of {len(row.pairs)}",
        f"{row.verdict or 'begun'}{'' if len(row.pairs) == seeds else f', {len(row.pairs)} of {seeds} seeds'}",
        "" if row.over_pictures is None else "{:+.2f} … {:+.2f}".format(*row.over_pictures),
        machines,
    )


def _spread(values: Sequence[float]) -> str:
    mean = f"{statistics.mean(values):.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def _table(heads: Cells, rows: Sequence[Cells]) -> str:
    """A table in Markdown, without columns that would be empty."""
    used = [i for i in range(len(heads)) if any(row[i] for row in rows)]
    lines = [[cells[i] for i in used] for cells in (heads, *rows)]
    head, *body = (f"| {' | '.join(cells)} |" for cells in lines)
    return "\n".join([head, "|---" * len(used) + "|", *body])
