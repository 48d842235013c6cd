"""A study's report as Markdown."""

import statistics
from collections.abc import Mapping, Sequence

from lad_jax.study.report import Compared, Report, Trained

Cells = Mapping[str, str]
"""Cells of a row by column."""


def format_report(report: Report) -> str:
    """Two tables: what was trained, and what differs."""
    trained = [_trained_cells(row) for row in report.trained if row.aps]
    compared = [_compared_cells(row, report.seeds) for row in report.compared if row.pairs]
    if not trained:
        return f"{report.question}\n\nNo run is finished yet.\n"
    spent = f"{report.runs} runs of {report.hours:.1f} hours in all, of steps and evaluations."
    return "\n\n".join([report.question, *(_table(rows) for rows in (trained, compared) if rows), spent]) + "\n"


def format_brief(report: Report) -> str:
    """One table: the condition's AP of each comparison, and the difference to its baseline."""
    return _table([_brief_cells(row, report.seeds) for row in report.compared if row.pairs])


def _trained_cells(row: Trained) -> Cells:
    return {
        "data": row.data,
        "network": row.label,
        "AP": _spread(row.aps),
        "AP50": f"{statistics.mean(row.ap50s):.1f}",
        "seeds": str(len(row.aps)),
        "seconds a run": f"{statistics.mean(row.seconds):.0f}",
        "machine (runs)": _counts(row.machines),
    }


def _compared_cells(row: Compared, seeds: int) -> Cells:
    return {
        "data": row.data,
        "difference of AP": f"{row.condition} − {row.baseline}",
        "mean": f"{_mean(row):+.2f}",
        "95 % interval": _interval(row),
        "p (Holm)": f"{row.corrected_p:.3f}" if row.difference else "",
        "won": f"{sum(ours > theirs for ours, theirs in row.pairs)} of {len(row.pairs)}",
        "verdict": _verdict(row, seeds),
        "over pictures": _between(row.over_pictures),
        "machine (pairs)": _counts(row.machines),
    }


def _brief_cells(row: Compared, seeds: int) -> Cells:
    interval = f" ({_interval(row)})" if row.difference else ""
    return {
        "data": row.data,
        "network": row.condition,
        "AP": _spread([ap for ap, _ in row.pairs]),
        "against": row.baseline,
        "difference (95 % interval)": f"{_mean(row):+.2f}{interval}",
        "verdict": _verdict(row, seeds),
    }


def _mean(row: Compared) -> float:
    return statistics.mean(ours - theirs for ours, theirs in row.pairs)


def _verdict(row: Compared, seeds: int) -> str:
    return row.verdict or f"{len(row.pairs)} of {seeds} seeds"


def _interval(row: Compared) -> str:
    return _between((row.difference.low, row.difference.high)) if row.difference else ""


def _between(ends: tuple[float, float] | None) -> str:
    return "{:+.2f} … {:+.2f}".format(*ends) if ends else ""


def _counts(machines: Mapping[str, int]) -> str:
    return "; ".join(f"{machine} ({n})" for machine, n in machines.items())


def _spread(values: Sequence[float]) -> str:
    mean = f"{statistics.mean(values):.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def _table(rows: Sequence[Cells]) -> str:
    """A table in Markdown, without columns that would be empty."""
    columns = [column for column in rows[0] if any(row[column] for row in rows)]
    lines = [columns, ["---"] * len(columns), *([row[column] for column in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
