"""Literal twins of the assigners other than PAA, in numpy and SciPy.

Picture by picture and object by object, in float64, written from the formulas of assigners 1 to 10 without a look at
`lad_jax`. Each takes a `Picture` and returns the arrays of assigners 15 by their names; of a picture without objects
the answer alone.
"""

from tests.reference.cost_assigners import dynamic_soft_label, hungarian, mal, ota, simota, tal
from tests.reference.static_assigners import atss, fcos, max_iou

TWINS = {
    "max_iou": max_iou,
    "atss": atss,
    "fcos": fcos,
    "simota": simota,
    "ota": ota,
    "tal": tal,
    "hungarian": hungarian,
    "mal": mal,
    "dynamic_soft_label": dynamic_soft_label,
}
"""The twin of each assigner, by name."""
