"""The notebook docs/tour.ipynb: its cells run one after the other, on networks and data small enough for a test."""

import json
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

from tests.test_readme import SMALL

NOTEBOOK = Path(__file__).parents[1] / "docs/tour.ipynb"
CELLS = json.loads(NOTEBOOK.read_text())["cells"]


@pytest.mark.slow
def test_its_cells_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")
    names: dict[str, object] = {"shell": _shell}
    for cell in CELLS:
        if cell["cell_type"] == "code":
            # Few steps make no network sure of anything.
            code = "".join(cell["source"]).replace("threshold=0.5", "threshold=0.05")
            exec(re.sub(r"^!(.*)$", r"shell('''\1''')", code, flags=re.MULTILINE), names)
    assert re.fullmatch(r"[\d.e-]+ pixels apart at most", capsys.readouterr().out.splitlines()[-1])
    assert len(names["results"]) == 4 and (tmp_path / "runs/tour/lad/predictions/predictions.json").exists()


def test_its_outputs_are_there() -> None:
    """Of a whole run from above to below."""
    cells = [cell for cell in CELLS if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]


def _shell(line: str) -> None:
    """What a line with ! does: a command of this package, made small where it trains."""
    program, _, words = line.partition(" ")
    assert program == "lad-jax"
    words = words.partition(" 2>&1")[0].split()
    small = SMALL if words[0] == "train" else []
    subprocess.run([sys.executable, "-m", "lad_jax", *words, *small], check=True, capture_output=True)
