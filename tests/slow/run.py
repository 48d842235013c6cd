"""Programs as a user runs them: without the virtual devices of the test suite."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def python(*arguments: str) -> None:
    """Run `python arguments…` in the project's folder; an exit status other than 0 is an error."""
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, env=environment)
