"""What a training step leaves out."""

import jax
import jax.numpy as jnp

from lad_jax.distill import METHODS
from lad_jax.mesh import tile
from lad_jax.train.nouns import Moment
from tests.networks import MODEL, OPTIONS, make_batch, train_step, varied


def test_the_backward_pass_of_a_frozen_part_is_left_out() -> None:
    """Counted in convolutions of the step's program."""

    def count(*frozen: str) -> int:
        step = train_step(METHODS["plain"], frozen_parts=frozenset(frozen))
        variables, moment = tile({"student": varied(MODEL, 0)}, step.mesh), Moment(jax.random.key(0), jnp.zeros(()))
        return str(jax.make_jaxpr(step.gradients)(variables, make_batch(), moment)).count("conv_general_dilated[")

    whole, forward = count(), count("backbone", "neck", "head", "classifier")
    without_backbone, classifier_alone = count("backbone"), count("backbone", "neck", "head")
    assert forward < classifier_alone < without_backbone < whole
    assert classifier_alone == forward + OPTIONS.n_levels, "the gradient of one kernel, at each level"
