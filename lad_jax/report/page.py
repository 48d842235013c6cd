"""The page of a report: one HTML file that holds its style, its scripts and its data."""

import html
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from lad_jax.files import write_whole

SCRIPTS = (
    *("elements", "numbers", "state", "report", "views", "hover", "chart"),
    *("panels", "prior", "objects", "histogram", "candidates", "pictures", "legend", "history", "responsible"),
    *("curves", "precision", "confusion", "kinds", "scores", "worst", "errors", "main"),
)
"""The scripts in the order in which they enter the page; each uses only those before it, `main` starts them."""


def write_page(data: dict[str, Any], path: Path) -> None:
    """Write a report as one HTML file that needs no server and requests nothing.

    Args:
      data: of the report, as docs/report.md has it; what is not finite is None in it.
      path: of the file, which is whole at any time.

    Raises:
      ValueError: a number is not finite, which JSON cannot say.
    """
    parts = {
        "title": html.escape(data["title"]),
        "style": _read("page.css"),
        "data": _embed(data),
        "scripts": "\n".join(_read(f"{name}.js") for name in SCRIPTS),
    }
    # One pass: what a part holds is never taken for a place of another part.
    write_whole(path, re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], _read("page.html")))


def _embed(data: dict[str, Any]) -> str:
    """JSON that may stand in a script element: no `<` can end the element or begin a comment."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _read(name: str) -> str:
    return (files(__package__) / "web" / name).read_text(encoding="utf-8")
