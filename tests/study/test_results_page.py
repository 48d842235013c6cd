"""docs/results.md and the README: their tables and plots are what the records say."""

from pathlib import Path

import pytest

from scripts import results

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("page", [results.README, results.PAGE], ids=str)
def test_tables_are_what_the_records_say(page: Path) -> None:
    text = page.read_text()
    assert results.with_sections(text) == text, "records have changed: run `python -m scripts.results`"


def test_every_study_has_a_section_with_its_plot() -> None:
    named = {name for _, kind, name, _ in results.SECTION.findall(results.PAGE.read_text()) if kind == "study"}
    assert named == {file.stem for file in results.STUDIES.glob("*.py")}
    for name in named:
        has_plot = (results.PLOTS / name / "differences.svg").exists()
        assert has_plot == any(row.pairs for row in results.report_of(name).compared)
