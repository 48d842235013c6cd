"""Studies: questions that runs over several seeds answer, with spread."""

from lad_jax.study.nouns import Comparison, Condition, Study

__all__ = ["Comparison", "Condition", "Study"]
