"""The demo, whole."""

import json
from pathlib import Path

import pytest

from tests.slow.run import python


@pytest.mark.slow
def test_every_network_of_the_demo_learns(tmp_path: Path) -> None:
    python("-m", "scripts.demo", f"--output={tmp_path}")
    print((tmp_path / "table.md").read_text())
    for stage in ("teacher", "paa", "lad", "colad"):
        for network, metrics in json.loads((tmp_path / stage / "metrics.json").read_text()).items():
            assert metrics["overall"]["AP50"] >= 0.5, (stage, network)
