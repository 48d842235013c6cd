"""Programs as a user runs them: without the virtual devices and the promotion rules of the test suite."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
OF_THE_SUITE = ("XLA_FLAGS", "JAX_NUMPY_RANK_PROMOTION", "JAX_NUMPY_DTYPE_PROMOTION")
"""Environment variables that `tests/conftest.py` sets."""


def python(*arguments: str) -> None:
    """Run `python arguments…` in the project's folder; an exit status other than 0 is an error."""
    environment = {name: value for name, value in os.environ.items() if name not in OF_THE_SUITE}
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, env=environment)
