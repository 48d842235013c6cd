"""Print the paper's tables, as docs/paper.md has them, from the rows of `configs/paper.py`.

python -m scripts.paper_tables
"""

from itertools import zip_longest

from configs.paper import ROWS

TEST_DEV = ("AP", "AP50", "AP75", "APS", "APM", "APL")
TABLES = {
    "2": "Table 2: soft labels, LAD, and both",
    "3": "Table 3: a student larger than its teacher",
    "4": "Table 4: the criterion of the switch",
    "5": "Table 5: CoLAD of trained and of new networks",
    "6": "Table 6: a small student",
    "7": "Table 7: the best, on test-dev",
    "8": "Table 8: Swin, on test-dev",
    "9": "Table 9: Swin as the teacher, on test-dev",
    "A": "Appendix: the heads",
}


def tables() -> str:
    """The paper's tables in Markdown, without columns that would be empty."""
    sections = []
    for key, title in TABLES.items():
        rows = [_cells(name) for name, row in ROWS.items() if key in row.tables]
        columns = [column for column in rows[0] if any(row[column] for row in rows)]
        head, *lines = (f"| {' | '.join(cells)} |" for cells in [columns, *([row[c] for c in columns] for row in rows)])
        sections.append("\n".join([f"## {title}", "", head, "|---" * len(columns) + "|", *lines]))
    return "\n\n".join(sections)


def _cells(name: str) -> dict[str, str]:
    """Cells of a row by column, empty where it has no value."""
    row = ROWS[name]
    numbers = {"val AP": row.val, "teacher's val AP": row.teacher_val}
    numbers |= dict(zip_longest(TEST_DEV, row.test_dev))
    return {
        "row": f"`{name}`",
        "method": row.method,
        "student": row.student,
        "teacher": f"`{row.teacher}`" if row.teacher in ROWS else row.teacher,
        "schedule": row.schedule,
        "besides": ", ".join(f"`{key}={value}`" for key, value in row.changes.items()),
        **{column: "" if number is None else f"{number:.1f}" for column, number in numbers.items()},
    }


if __name__ == "__main__":
    print(tables())
