"""The demo, whole."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_network_of_the_demo_learns(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "scripts.demo", f"--output={tmp_path}"], cwd=ROOT, check=True)
    print((tmp_path / "table.md").read_text())
    for stage in ("teacher", "paa", "lad", "colad"):
        for network, metrics in json.loads((tmp_path / stage / "metrics.json").read_text()).items():
            assert metrics["overall"]["AP50"] >= 0.5, (stage, network)
