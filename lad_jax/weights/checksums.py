"""Checksums of files of weights, and what their names promise of them."""

import hashlib
import re
from pathlib import Path

_TORCH_HUB = re.compile(r"-([0-9a-f]{8,64})\.pth?$")
"""End of the name of a file of torch's with the first digits of its SHA-256: `resnet50-0676ba61.pth`."""


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, as 64 digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def promised_by(name: str) -> str:
    """First digits of a file's SHA-256 by its name; empty where the name has none."""
    match = _TORCH_HUB.search(name)
    return match[1] if match else ""
