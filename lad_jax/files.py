"""Files that survive a kill: written whole, or line by line and read up to the last whole line."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def write_whole(path: Path, text: str) -> None:
    """Write a file under another name and rename it: readers find the old content or the new, and nothing between."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    unfinished.write_text(text)
    os.replace(unfinished, path)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Objects of a file of JSON lines, up to a line that a kill has cut off; none where there is no file."""
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return
