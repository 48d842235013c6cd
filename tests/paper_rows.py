"""The rows of docs/paper.md."""

import re
from pathlib import Path
from typing import NamedTuple

TEST_DEV = ("AP", "AP50", "AP75", "APS", "APM", "APL")


class Row(NamedTuple):
    table: str
    title: str
    config: str
    network: str
    parameters: int
    teachers: tuple[str, ...]
    """Nearest first."""
    val_ap: str
    test_dev: dict[str, str]
    """By name; without those that the paper does not give."""

    @property
    def result(self) -> str:
        """The row in words, as the config's docstring has it."""
        val = [f"AP {self.val_ap} (val)"] if self.val_ap else []
        test = [", ".join(f"{name} {value}" for name, value in self.test_dev.items()) + " (test-dev)"]
        return f"{self.table}, {self.title}: {', '.join(val + (test if self.test_dev else []))}"


def read_rows() -> list[Row]:
    text = (Path(__file__).parents[1] / "docs/paper.md").read_text()
    rows = []
    for table, section in re.findall(r"^## (.+)\n((?:(?!## ).*\n)*)", text, re.MULTILINE):
        head, _, *lines = [line for line in section.splitlines() if line.startswith("|")]
        for line in lines:
            cells = dict(zip(_cells(head), _cells(line), strict=True))
            rows.append(
                Row(
                    table,
                    cells["row"],
                    cells["config"].strip("`"),
                    cells["network"],
                    int(cells["parameters"].replace(",", "")),
                    tuple(re.findall(r"`(\w+)`", cells["teachers"])),
                    cells["val AP"],
                    {name: cells[name] for name in TEST_DEV if cells.get(name)},
                )
            )
    return rows


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


ROWS = read_rows()
NAMES = sorted({row.config for row in ROWS})
"""The configs."""
