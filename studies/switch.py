"""Who decides in CoLAD, and over what: criteria and scopes of the switch, the paper's Table 4 in small.

The paper's text compares networks over a whole batch, its code object by object on each pyramid level.
"""

from lad_jax.study import Comparison, Condition, Study

CRITERIA = {"std_over_mean": "σ/µ", "fisher": "Fisher"}
SCOPES = ("object_level", "object", "image", "batch")


def get_study() -> Study:
    conditions = {
        f"{criterion}_{scope}": Condition(
            f"{label} over {scope.replace('_level', ' and level')}",
            "configs/demo.py:colad",
            changes={"switch.criterion": criterion, "switch.scope": scope},
        )
        for criterion, label in CRITERIA.items()
        for scope in SCOPES
    }
    released, *others = conditions
    return Study(
        question="Does it matter by what score, and over which anchors together, CoLAD decides whose costs count?",
        conditions=conditions,
        comparisons=tuple(Comparison(other, released) for other in others),
    )
