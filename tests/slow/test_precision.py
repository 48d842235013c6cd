"""The demo in both precisions."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.slow.run import python


@pytest.mark.slow
def test_bfloat16_costs_no_ap(tmp_path: Path) -> None:
    """Over 15 pairs of runs, three networks by five seeds. Of five pairs alone the mean scatters by 1 AP."""
    folders = f"--workdirs={tmp_path / 'runs'}", f"--records={tmp_path / 'records'}", f"--output={tmp_path}"
    python("-m", "lad_jax", "study", "studies/precision.py", *folders, "--parallel=2")
    print((tmp_path / "table.md").read_text())
    compared = json.loads((tmp_path / "report.json").read_text())["compared"]
    pairs = np.array([row["pairs"] for row in compared])
    assert pairs.shape == (3, 5, 2)
    assert abs((pairs[..., 0] - pairs[..., 1]).mean()) <= 1
