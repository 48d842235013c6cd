"""CoLAD's switch against the reference's decision in every cell."""

import jax
import jax.numpy as jnp
import numpy as np

from lad_jax.distill.switch import best_network
from tests.golden import network


def test_every_cell(golden):
    arrays = network.load(golden / "switch.npz")
    n_cells, slots = arrays["student_cost"].shape
    keep = np.arange(slots) < arrays["count"][:, None]
    cell = np.where(keep, np.arange(n_cells)[:, None], n_cells).astype(np.int32).reshape(-1)
    student, teacher = (jnp.asarray(np.nan_to_num(arrays[f"{n}_cost"]).reshape(-1)) for n in ("student", "teacher"))
    best = jax.jit(best_network, static_argnames=("n_cells", "criterion"))(
        jnp.stack([student, teacher]), jnp.asarray(cell), n_cells=n_cells, criterion="std_over_mean"
    )
    np.testing.assert_array_equal(best[:n_cells], arrays["teacher_chosen"])
    assert (arrays["count"] == 1).any() and 0 < arrays["teacher_chosen"].mean() < 1
