"""docs/bad_input.md quotes messages that the package has: a reworded one has to be put right there too."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLAIN = re.compile(r"[A-Za-z-]+[,.:;?]?")
"""A word of a quote that may stand in the code; what has digits, quotes or dots within is a value of the example."""
OF_LIBRARIES = {"picture a.png: iCCP: too short"}
"""Quotes whose words are a library's."""


def texts(file: Path) -> Iterator[str]:
    """The strings of a module but for docstrings; of an f-string the parts between its values."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value.replace("`", "")


def quotes() -> list[str]:
    """Quotes of three words or more in the right columns."""
    rows = [line for line in (ROOT / "docs/bad_input.md").read_text().splitlines() if line.startswith("| ")]
    found = [quote for row in rows for quote in re.findall("`([^`]+)`", row.split(" | ", 1)[1])]
    return [quote for quote in found if len(quote.split()) >= 3 and quote not in OF_LIBRARIES]


def longest_phrase(quote: str) -> list[str]:
    """The most words in a row without a value or a gap between them."""
    phrases: list[list[str]] = [[]]
    for word in quote.split():
        if PLAIN.fullmatch(word):
            phrases[-1].append(word)
        else:
            phrases.append([])
    return max(phrases, key=len)


def words_found(phrase: list[str], code: str) -> int:
    """The most words in a row that stand so in the code."""
    ends = range(1, len(phrase) + 1)
    parts = [phrase[start:end] for end in ends for start in range(end)]
    return max((len(part) for part in parts if " ".join(part).rstrip(",.:;?") in code), default=0)


def test_quotes_are_of_messages_that_there_are() -> None:
    """Of the longest phrase of each at least two thirds in a row: names such as `cat` are words too."""
    code = "\n".join(text for file in sorted((ROOT / "lad_jax").rglob("*.py")) for text in texts(file))
    phrases = {quote: longest_phrase(quote) for quote in quotes()}
    assert len(phrases) > 100, "the table is read"
    assert [q for q, phrase in phrases.items() if words_found(phrase, code) < len(phrase) * 2 / 3] == []
