"""The paper's rows: they build, teach what they say, have the paper's numbers, and are what the page lists."""

import functools
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from configs import narrow, paper
from configs.paper import ROWS
from lad_jax.config import from_config
from lad_jax.options import RunOptions
from scripts.paper_tables import TEST_DEV, recipe_tables, tables

DOCS = Path(__file__).parents[1] / "docs"


@functools.cache
def options_of(name: str) -> RunOptions:
    return from_config(RunOptions, paper.get_config(name))


@pytest.mark.parametrize("name", ROWS)
def test_row_builds(name: str) -> None:
    """What its name says, and evaluated only at its end, as the references are."""
    row, options = ROWS[name], options_of(name)
    teacher = ROWS[row.teacher].student if row.teacher in ROWS else row.teacher
    backbones = [network.lower().replace("-", "").split()[0] for network in (row.student, teacher) if network]
    assert re.search(".*_".join(backbones), name) and name.endswith(row.schedule.split()[-1])
    assert name.startswith(row.method) or row.method == paper.PLAIN
    assert ("ms" in name.split("_")) == bool(options.data.short_sides)
    assert options.train.eval_every == options.train.epochs


@pytest.mark.parametrize("name", ROWS)
def test_narrow_row_is_the_row_but_small(name: str) -> None:
    wide, slim = options_of(name), from_config(RunOptions, narrow.get_config(name))
    for key in ("method", "switch", "solad", "soft_label", "losses"):
        assert getattr(slim, key) == getattr(wide, key)
    assert slim.teacher.config == wide.teacher.config.replace("paper", "narrow")
    for network in wide.roles.networks:
        ours, theirs = slim.model_of(network), wide.model_of(network)
        for key in ("objectness", "iou_branch", "deformable_towers", "extra_levels"):
            assert getattr(ours, key) == getattr(theirs, key)
        assert type(ours.backbone) is type(theirs.backbone)


def test_teachers() -> None:
    """Each is the network that its row trains; a frozen one has a row, and chains of them end."""
    chains = {name: [name] for name in ROWS}
    for name, chain in chains.items():
        if "teacher" in options_of(name).roles.frozen:
            assert ROWS[name].teacher in ROWS
        while (teacher := ROWS[chain[-1]].teacher) in ROWS:
            assert teacher not in chain
            options = options_of(chain[-1])
            assert options.teacher.config == f"configs/paper.py:{teacher}"
            assert options.teacher.model == options_of(teacher).model_of(options.teacher.network)
            chain.append(teacher)
    assert max(map(len, chains.values())) == 4


@pytest.mark.parametrize("table", "23456")
def test_val_numbers_are_the_papers(table: str, shared: Path) -> None:
    """Tables without other authors' detectors: each number of one is a row's, and the other way round."""
    rows = [row for row in ROWS.values() if table in row.tables]
    numbers = [row.val for row in rows] + [row.teacher_val for row in rows if table == "5" and row.teacher_val]
    printed = re.findall(r"(?<![+-])\b\d\d\.\d\b", paper_table(table, shared))
    assert sorted(map(float, printed)) == sorted(numbers)


@pytest.mark.parametrize("table", "789")
def test_test_dev_numbers_are_the_papers(table: str, shared: Path) -> None:
    for name, row in ROWS.items():
        if table in row.tables and len(row.test_dev) == len(TEST_DEV):
            assert "\t".join(map(str, row.test_dev)) in paper_table(table, shared), name


def paper_table(table: str, shared: Path) -> str:
    """The lines of a table in the paper's text."""
    _, text = (shared / "paper.txt").read_text().split(f"\nTable {table}: ")
    return text.split("\n\n")[1]


@pytest.mark.parametrize(("page", "words", "printed"), [("paper", "", tables), ("recipes", " recipes", recipe_tables)])
def test_the_page_lists_the_rows(page: str, words: str, printed: Callable[[], str]) -> None:
    """As `python -m scripts.paper_tables` prints them."""
    text, mark = (DOCS / f"{page}.md").read_text(), f"<!-- printed by python -m scripts.paper_tables{words} -->\n\n"
    _, listed = text.split(mark)
    assert listed == f"{printed()}\n\n<!-- end of what is printed -->\n"


def test_unknown_row() -> None:
    with pytest.raises(ValueError, match=r"'lad_r50_r10_1x' is no row of the paper: .*such as lad_r50_r101_1x"):
        paper.get_config("lad_r50_r10_1x")
