"""The page of a drawn report, in a browser that is started once."""

from collections.abc import Iterator
from typing import Any

import pytest

from lad_jax.report.page import write_page
from tests.report.shown import DATA, Shown


@pytest.fixture(scope="session")
def shown(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(DATA, path)
    return Shown(browser, path)


@pytest.fixture(autouse=True)
def quiet(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test: no word in the console, no request but of the file itself and what it holds."""
    yield
    if "shown" in request.fixturenames:
        shown = request.getfixturevalue("shown")
        assert shown.complaints == []
        assert {url.split(":")[0] for url in shown.requests} <= {"file", "data"}
