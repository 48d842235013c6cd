"""Conversion is tested on one set of weights, whichever arrays the parity tests are given."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def golden(shared: Path) -> Path:
    return shared / "golden"
