"""The page of a report: one HTML file that holds its data."""

import json
from pathlib import Path
from typing import Any

from lad_jax.files import write_whole


def write_page(data: dict[str, Any], path: Path) -> None:
    """Write a report as one HTML file.

    Raises:
      ValueError: a number is not finite, which JSON cannot say.
    """
    text = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    write_whole(path, f'<!doctype html><script type="application/json" id="data">{text}</script>\n')
