"""The programs of docs/python.md, as they stand there, on a tiny run."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from lad_jax.data import open_dataset
from tests.run.tiny import tiny

PAGE = Path(__file__).parents[2] / "docs/python.md"


def test_its_programs_run(paa_workdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs/demo").mkdir(parents=True)
    Path("runs/demo/lad").symlink_to(paa_workdir)
    dataset = open_dataset(tiny().data, "val")
    frames = [dataset.read(position)[..., ::-1] for position in range(3)]
    cv2.imwrite("photo.jpg", frames[0])
    video = cv2.VideoWriter("street.mp4", cv2.VideoWriter.fourcc(*"mp4v"), 5, frames[0].shape[1::-1])
    for frame in frames:
        video.write(frame)
    video.release()
    shown: list[np.ndarray] = []
    monkeypatch.setattr(cv2, "imshow", lambda _, frame: shown.append(frame.copy()))
    monkeypatch.setattr(cv2, "waitKey", lambda _: -1)
    # What few steps have taught is sure of nothing.
    text = PAGE.read_text().replace("threshold=0.5)  # OpenCV's", "threshold=0.05)  # OpenCV's")
    names: dict[str, object] = {}
    for program in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(program, names)
    assert len(capsys.readouterr().out.splitlines()) == len(names["detector"]("photo.jpg")) > 0
    assert [frame.shape for frame in shown] == [frame.shape for frame in frames]
    green = [(frame == (0, 255, 0)).all(axis=-1).sum() for frame in shown]
    assert min(green) > 20, "each has a box"
