"""Real pictures and a pretrained backbone, on two cores."""

import json
import resource
from pathlib import Path

import pytest

from tests.slow.run import python


@pytest.mark.slow
def test_bccd_on_a_cpu(shared: Path, tmp_path: Path) -> None:
    """AP50 of 0.70 within 45 CPU minutes; then a smaller network learns from that one's assignment."""
    teacher, student = tmp_path / "teacher", tmp_path / "student"
    python("main.py", "--config=configs/small_sets.py:bccd_cpu", f"--workdir={teacher}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    minutes = (used.ru_utime + used.ru_stime) / 60
    python("main.py", "--config=configs/small_sets.py:bccd_cpu", f"--workdir={teacher}", "--mode=eval")
    ap50 = json.loads((teacher / "metrics.json").read_text())["student"]["overall"]["AP50"]
    print(f"AP50 {ap50:.3f} after {minutes:.1f} CPU minutes")
    assert ap50 >= 0.70 and minutes <= 45

    python(
        "main.py",
        "--config=configs/small_sets.py:bccd_narrow_cpu",
        "--config.method=lad",
        f"--workdir={student}",
        f"--config.teacher.path={teacher}",
    )
    ap50 = json.loads((student / "metrics.json").read_text())["student"]["overall"]["AP50"]
    print(f"AP50 of the student {ap50:.3f}")
    assert ap50 > 0.1, "from scratch and in minutes: it learns, no more is asked"
