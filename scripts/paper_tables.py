"""Print the tables of docs/paper.md from `configs/paper.py`, or those of docs/recipes.md from `configs/assigners.py`.

python -m scripts.paper_tables
python -m scripts.paper_tables recipes
"""

import sys
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from configs import assigners, paper
from configs.paper import Row

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
    """The paper's tables in Markdown."""
    sections = {
        title: [_cells(name, paper.ROWS) for name, row in paper.ROWS.items() if key in row.tables]
        for key, title in TABLES.items()
    }
    return _markdown(sections)


def recipe_tables() -> str:
    """Tables of the other assigners' recipes, and of their rows, in Markdown."""
    recipes = [
        {"recipe": f"`{name}`", "settings": _settings(recipe.settings), "differs from the publication": recipe.differs}
        for name, recipe in assigners.RECIPES.items()
    ]
    rows = [
        {"row": "", "recipe": f"`{row.recipe}`"} | _cells(name, assigners.ROWS) for name, row in assigners.ROWS.items()
    ]
    return _markdown({"Recipes": recipes, "Rows": rows})


def _markdown(sections: Mapping[str, Sequence[dict[str, str]]]) -> str:
    """Tables by title, of rows of cells by column, without columns that would be empty."""
    texts = []
    for title, rows in sections.items():
        columns = [column for column in rows[0] if any(row[column] for row in rows)]
        head, *lines = (f"| {' | '.join(cells)} |" for cells in [columns, *([row[c] for c in columns] for row in rows)])
        texts.append("\n".join([f"## {title}", "", head, "|---" * len(columns) + "|", *lines]))
    return "\n\n".join(texts)


def _cells(name: str, rows: Mapping[str, Row]) -> dict[str, str]:
    """Cells of a row by column, empty where it has no value."""
    row = rows[name]
    numbers = {"val AP": row.val, "teacher's val AP": row.teacher_val}
    numbers |= dict(zip_longest(TEST_DEV, row.test_dev))
    return {
        "row": f"`{name}`",
        "method": row.method,
        "student": row.student,
        "teacher": f"`{row.teacher}`" if row.teacher in rows else row.teacher,
        "schedule": row.schedule,
        "besides": _settings(row.changes),
        **{column: "" if number is None else f"{number:.1f}" for column, number in numbers.items()},
    }


def _settings(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"`{key}={value}`" for key, value in changes.items())


if __name__ == "__main__":
    print(recipe_tables() if sys.argv[1:] == ["recipes"] else tables())
