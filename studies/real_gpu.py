"""The study `real` by the full recipes, for a GPU."""

from lad_jax.study import Study
from studies import real


def get_study() -> Study:
    return real.get_study(kind="")
