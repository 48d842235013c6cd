"""Files that are whole at every moment, whenever the program is killed."""

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a file under another name and rename it: whoever looks sees the old content or the new, never a part."""
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_text(text)
    os.replace(unfinished, path)
