"""CoLAD's switch against the reference's decision in every cell."""

import jax.numpy as jnp
import numpy as np

from tests.golden import network
from tests.reference.example import best_network


def test_every_cell(golden):
    arrays = network.load(golden / "switch.npz")
    n_cells, slots = arrays["student_cost"].shape
    keep = np.arange(slots) < arrays["count"][:, None]
    cell = np.where(keep, np.arange(n_cells)[:, None], n_cells).astype(np.int32).reshape(-1)
    student, teacher = (jnp.asarray(np.nan_to_num(arrays[f"{n}_cost"]).reshape(-1)) for n in ("student", "teacher"))
    source = best_network(jnp.stack([student, teacher]), jnp.asarray(cell), n_cells=n_cells)
    expected = np.where(keep, arrays["teacher_chosen"][:, None], -1)
    np.testing.assert_array_equal(source.reshape(keep.shape), expected)
    assert (arrays["count"] == 1).any() and 0 < arrays["teacher_chosen"].mean() < 1
