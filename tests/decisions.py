"""Decisions about a drawn picture, by every assigner and method."""

import functools

import jax
import jax.numpy as jnp

from lad_jax.assign import AssignerOptions, make_assigner
from lad_jax.distill import METHODS, SwitchOptions, assign_batch, decide
from lad_jax.testing.drawn import draw_predictions, draw_scene

SCENE = draw_scene()
PREDICTIONS = {name: draw_predictions(SCENE.priors, 3, seed) for seed, name in enumerate(("student", "teacher"))}
PICTURE = 0
N_OBJECTS = int(SCENE.truth.mask[PICTURE].sum())


@functools.cache
def decided(name, method="colad", scope="object_level", *, batch=False, spoilt=False):
    """The decision about one picture, and the answer for the batch if it is asked for, by one program.

    The student's predictions for the picture are NaN if `spoilt`.
    """
    student, teacher = PREDICTIONS.values()
    student = jax.tree.map(lambda x: x.at[PICTURE].set(jnp.nan), student) if spoilt else student
    predictions = {"student": student, "teacher": teacher}
    assigner = make_assigner(AssignerOptions(name=name))
    functions = {"method": METHODS[method], "assigner": assigner, "switch": SwitchOptions(scope=scope)}

    @jax.jit
    def answer(predictions, scene):
        one = jax.tree.map(lambda x: x[PICTURE], (predictions, scene))
        return decide(*one, **functions), assign_batch(predictions, scene, **functions) if batch else None

    return jax.device_get(answer(predictions, SCENE))
