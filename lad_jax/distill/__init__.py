"""Distillation: whose costs assign the priors, and what else a student takes from its teacher."""

from lad_jax.distill.assignment import Assigned, assign_batch, assignment_figures
from lad_jax.distill.decision import Decision, Verdict, decide, known_costs, networks_with_costs, without_padding
from lad_jax.distill.methods import METHODS, Method
from lad_jax.distill.policy import policy
from lad_jax.distill.switch import SwitchOptions

__all__ = [
    "METHODS",
    "Assigned",
    "Decision",
    "Method",
    "SwitchOptions",
    "Verdict",
    "assign_batch",
    "assignment_figures",
    "decide",
    "known_costs",
    "networks_with_costs",
    "policy",
    "without_padding",
]
