"""Writing files that are whole at every moment, whenever the program is killed."""

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a file under another name and rename it: readers find the old content or the new, and nothing between."""
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_text(text)
    os.replace(unfinished, path)
