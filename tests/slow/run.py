"""Programs as a user runs them, without what the test suite sets; what they hold while they run, and how they end."""

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

from lad_jax.run import checkpoint

ROOT = Path(__file__).parents[2]
OF_THE_SUITE = ("XLA_FLAGS", "JAX_NUMPY_RANK_PROMOTION", "JAX_NUMPY_DTYPE_PROMOTION")
"""Environment variables that `tests/conftest.py` sets."""


def environment() -> dict[str, str]:
    """The environment of a user."""
    return {name: value for name, value in os.environ.items() if name not in OF_THE_SUITE}


def python(*arguments: str) -> None:
    """Run `python arguments…` in the project's folder; an exit status other than 0 is an error."""
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, env=environment())


def lines(file: Path) -> list[dict]:
    """The lines that are there whole: a kill may have cut off the last."""
    return [json.loads(line) for line in file.read_text().split("\n")[:-1]] if file.exists() else []


def figures(workdir: Path) -> list[dict]:
    """The lines of `metrics.jsonl`, but for times."""
    rows = lines(workdir / "metrics.jsonl")
    return [{name: value for name, value in row.items() if name not in ("images_per_s", "seconds")} for row in rows]


def resident_mb(process: int | str) -> float:
    """Resident memory of a process, by its id or `self` [MB]; 0 where it has ended."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmRSS:\s*(\d+) kB", Path(f"/proc/{process}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0
    return 0.0


def assert_same_end(a: Path, b: Path, step: int) -> None:
    """Check that two runs end in the same bits after `step`, by the same pictures and figures."""
    ours, theirs = (workdir / "checkpoints" / str(step) for workdir in (a, b))
    with ocp.StandardCheckpointer() as reader:
        for item in ("variables", "optimizer", "ema"):
            left, right = (jax.tree.leaves(reader.restore((folder / item).absolute())) for folder in (ours, theirs))
            for x, y in zip(left, right, strict=True):
                np.testing.assert_array_equal(np.asarray(x), np.asarray(y))
    assert lines(a / "images.jsonl") == lines(b / "images.jsonl")
    assert figures(a) == figures(b)
    assert checkpoint.find(a).name == checkpoint.find(b).name
