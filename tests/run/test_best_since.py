"""Since when no AP has been better: what `train.patience` counts from."""

import orbax.checkpoint as ocp
import pytest

from lad_jax.run.saving import best_since, make_manager, note_ap


@pytest.mark.parametrize(
    ("aps", "expected"),
    [
        ([0.1, 0.3, 0.2, 0.4], [1, 2, 2, 4]),
        ([0.3, 0.3, 0.3, 0.2, 0.3, 0.4], [1, 1, 1, 1, 1, 6]),  # the first of equals was deleted long ago
        ([0.0, 0.0, 0.0], [1, 1, 1]),
        ([None, None, 0.0, None, 0.0], [1, 1, 3, 3, 3]),
    ],
)
def test_equal_aps_are_no_better(tmp_path, aps, expected):
    found = []
    for step, ap in enumerate(aps, start=1):
        with make_manager(tmp_path) as manager:  # as if each were in a run that goes on
            assert best_since(manager) == (found[-1] if found else None)
            manager.save(step, args=ocp.args.Composite(meta=ocp.args.JsonSave({})))
            note_ap(manager, step, ap)
            found.append(best_since(manager))
    assert found == expected
    assert len(list((tmp_path / "checkpoints").glob("[0-9]*"))) <= 3
