"""The page in a browser, and what the data of the report say of it."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from tests.report.drawn import make_report

PAA, COLAD = 0, 1
"""The runs, by index."""
DATA = make_report()


class Shown:
    """A page in the browser, and what it complained about or asked for."""

    def __init__(self, browser: Any, path: Path) -> None:
        self.page = browser.new_page(viewport={"width": 1366, "height": 660})
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url[:60]))
        self.page.goto(f"file://{path}")

    def open(self, **state: Any) -> Any:
        """The page as an address with this state shows it; without loading it again, which takes longer."""
        address = "#" + "&".join(f"{name}={value}" for name, value in state.items())
        self.page.evaluate("(to) => { history.replaceState(null, '', to); readAddress(); draw(); }", address)
        return self.page


def recorded(run: int, evaluation: int = -1, picture: int = 0) -> dict[str, Any]:
    return DATA["runs"][run]["evaluations"][evaluation]["pictures"][picture]


def pairs(run: int, evaluation: int = -1, picture: int = 0) -> set[tuple[int, int]]:
    """Priors and objects of the positives."""
    positives = recorded(run, evaluation, picture)["positives"]
    return set(zip(positives["prior"], positives["object"], strict=True))


def levels_of(priors: list[int], picture: int = 0) -> Counter[int]:
    """Number of priors by level."""
    ends = np.cumsum([level["rows"] * level["columns"] for level in DATA["pictures"][picture]["levels"]])
    return Counter(np.searchsorted(ends, priors, side="right").tolist())


def dots(page: Any, kinds: str = ".shared, .here") -> Counter[int]:
    """Number of dots in each panel."""
    counted = page.locator(".panels figure").evaluate_all(
        "(all, kinds) => all.map((p) => [+p.dataset.level, p.querySelectorAll(`.dot:is(${kinds})`).length])",
        kinds,
    )
    return Counter({level: number for level, number in counted if number})
