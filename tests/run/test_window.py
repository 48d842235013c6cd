"""What the log says of steps that gave trouble."""

import jax
import numpy as np
import pytest

from lad_jax.data import SyntheticOptions
from lad_jax.data.synthetic import SyntheticShapes
from lad_jax.errors import InputError
from lad_jax.options import TrainOptions
from lad_jax.run.window import Window
from lad_jax.train.finite import Finite
from lad_jax.train.step import StepOutput

DATASET = SyntheticShapes(SyntheticOptions(train=4, size=96), "train")
IDS = [record.id for record in DATASET.records]


def output(loss: float = 1.0, *, lost: int = -1, broken: int = -1, unreadable: int = -1) -> StepOutput:
    """Of two pictures; `lost`, `broken` and `unreadable` say which of them is."""
    row = np.arange(2)
    scalars = {"loss": np.float32(loss), "gradient_norm": np.float32(1)}
    finite = Finite({"student/loss_box": row != lost, "student/loss_class": row >= 0}, {})
    return StepOutput(scalars, np.bool_(np.isfinite(loss)), finite, row == broken, np.array([2, 0]), row != unreadable)


def lost(picture: int = 0) -> StepOutput:
    return output(np.nan, lost=picture)


def closed(*outputs: StepOutput):
    window = Window(DATASET, TrainOptions())
    for o in outputs:
        window.add(o)
    return window.take(10)


def test_means_and_ids() -> None:
    scalars, ids = closed(output(1.0), output(3.0))
    assert scalars == {"loss": 2.0, "gradient_norm": 1.0, "skipped_steps": 0.0, "unreadable_pictures": 0.0}
    assert ids == [[IDS[2], IDS[0]]] * 2


def test_costs_that_are_not_finite_are_reported_with_the_image_id(caplog) -> None:
    closed(output(), output(broken=1))
    assert f"step 10: costs that are not finite for image ids [{IDS[0]}]" in caplog.text


def test_an_unreadable_picture_is_named_once_and_counted(caplog) -> None:
    scalars, _ = closed(output(unreadable=0), output(unreadable=0), output(unreadable=1))
    assert scalars["unreadable_pictures"] == 2
    assert caplog.text.count(DATASET.records[2].file_name) == 1 and caplog.text.count("so far") == 2


def test_a_step_left_out_is_named_counted_and_in_no_mean(caplog) -> None:
    scalars, ids = closed(output(1.0), lost(1), output(3.0))
    assert scalars["loss"] == 2 and scalars["skipped_steps"] == 1 and len(ids) == 3
    assert f"step 9 left out, 1 in a row: student/loss_box not finite; image ids [{IDS[0]}]" in caplog.text
    assert closed(lost())[0] == {"skipped_steps": 1, "unreadable_pictures": 0}


@pytest.mark.parametrize("log_every", [1, 3, 4, 9])
def test_more_than_max_skipped_in_a_row_end_the_run(log_every: int) -> None:
    """Whenever the log looks: the row goes on from one window to the next, and a step that was applied ends it."""
    outputs = [lost(), lost(), output(), lost(), lost(), lost(), lost(), output(), output()]
    window = Window(DATASET, TrainOptions(max_skipped=3))

    def go() -> None:
        for step, o in enumerate(outputs, start=1):
            window.add(o)
            if step % log_every == 0:
                window.take(step)

    said = (
        rf"^step 7 cannot be applied \(4 in a row\): student/loss_box .*\[{IDS[2]}\]\. Lower config\.optimizer\.learn"
    )
    with pytest.raises(InputError, match=said):
        go()


def test_stop_ends_the_run_at_once() -> None:
    window = Window(DATASET, TrainOptions(on_non_finite="stop"))
    window.add(output())
    window.add(lost(1))
    with pytest.raises(InputError, match=rf"step 10 cannot be applied .*image ids \[{IDS[0]}\]"):
        window.take(10)


def test_a_step_that_is_under_way_is_left_for_the_next_line() -> None:
    window = Window(DATASET, TrainOptions())
    for loss in (1.0, 2.0, 6.0):
        window.add(jax.device_put(output(loss)))
    scalars, ids = window.take(9, keep=1)
    assert scalars["loss"] == 1.5 and len(ids) == 2 and len(window) == 1
    window.add(jax.device_put(output(8.0)))
    scalars, ids = window.take(11)
    assert scalars["loss"] == 7.0 and len(ids) == 2 and len(window) == 0


def test_a_step_that_is_added_is_not_waited_for() -> None:
    class Coming:
        """A number that its step has not found yet: who asks for it would wait."""

        waited = False

        def copy_to_host_async(self) -> None:
            pass

        def __array__(self) -> np.ndarray:
            self.waited = True
            return np.asarray(5.0)

    loss = Coming()
    window = Window(DATASET, TrainOptions())
    window.add(jax.device_put(output(3.0)))
    window.add(output()._replace(scalars={"loss": loss, "gradient_norm": np.float32(1)}))
    assert window.take(1, keep=1)[0]["loss"] == 3.0
    assert not loss.waited
    assert window.take(2)[0]["loss"] == 5.0 and loss.waited
