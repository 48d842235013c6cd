"""Networks from checkpoints: what a run says about one that was trained otherwise."""

from pathlib import Path

import pytest

from lad_jax.data import open_dataset
from lad_jax.models import ModelOptions
from lad_jax.options import RunOptions, TeacherOptions
from lad_jax.run.networks import make_networks, preparation_lines
from tests.run.tiny import tiny

LARGE = {"data__short_side": 480, "data__long_side": 640}
RANGE = {"data__short_sides": (400, 500), "data__long_side": 640}


@pytest.mark.parametrize(
    ("theirs", "ours", "sizes"),
    [
        (LARGE, LARGE, None),
        (LARGE, {**LARGE, "data__short_side": 240}, ("short_side 480, long_side 640", "short_side 240, long_side 640")),
        (LARGE, {**LARGE, "data__long_side": 800}, ("short_side 480, long_side 640", "short_side 480, long_side 800")),
        (LARGE, RANGE, ("short_side 480, long_side 640", "short_sides 400 to 500, long_side 640")),
        (RANGE, LARGE, None),  # it knows this size too
        (RANGE, {**LARGE, "data__short_side": 500}, None),
        (RANGE, {**LARGE, "data__short_side": 501}, ("short_sides 400 to 500", "short_side 501")),
        ({**RANGE, "data__short_side": 90}, RANGE, None),  # not a size that training uses
    ],
)
def test_a_teacher_of_another_picture_size_is_named(theirs: dict, ours: dict, sizes: tuple | None) -> None:
    lines = preparation_lines("teacher", tiny(**theirs).data, tiny(method="lad", **ours))
    assert len(lines) == (sizes is not None)
    if sizes:
        assert f"! teacher: was trained on pictures resized to {sizes[0]}" in lines[0]
        assert f"but here they are resized to {sizes[1]}" in lines[0] and "Set config.data" in lines[0]


@pytest.mark.parametrize(
    ("changes", "its", "students"),
    [
        ({"channel_order": "bgr"}, "channel_order bgr", "channel_order rgb"),
        ({"pixel_mean": (0.0, 1.0, 2.0)}, "pixel_mean (0.0, 1.0, 2.0)", "pixel_mean (123.675, 116.28, 103.53)"),
        (
            {"channel_order": "bgr", "pixel_std": (1.0, 1.0, 1.0)},
            "channel_order bgr, pixel_std (1.0, 1.0, 1.0)",
            "channel_order rgb, pixel_std (58.395, 57.12, 57.375)",
        ),
    ],
)
def test_a_teacher_of_another_normalisation_is_named(changes: dict, its: str, students: str) -> None:
    options = RunOptions(method="lad", teacher=TeacherOptions(model=ModelOptions(**changes)))
    [line] = preparation_lines("teacher", options.data, options)
    assert line == f"teacher takes {its}; the student {students}: each normalises its pictures as it was trained to"


def test_it_is_said_before_the_first_step(paa_workdir: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = tiny(method="lad", teacher__path=str(paa_workdir), data__short_side=64)
    make_networks(options, open_dataset(options.data, "train"), resuming=True)
    [line] = [record.message for record in caplog.records if record.message.startswith("! ")]
    assert "resized to short_side 96, long_side 96, but here they are resized to short_side 64, long_side 96" in line
