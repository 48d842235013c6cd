"""Why students of a smaller teacher lie below those of none: teachers of three depths, and the weight of the boxes."""

from lad_jax.study import Comparison, Condition, Study

TEACHERS = {10: "paa", 18: "teacher", 34: "teacher"}
"""Variants of the demo by depth: where there is one, its runs serve here too."""
UNIFORM = {"losses.box_weighting": "uniform"}
"""What LAD's recipe has beside another network's costs."""


def get_study() -> Study:
    teachers = {
        f"teacher_{depth}": Condition(
            f"PAA, R{depth}", f"configs/demo.py:{variant}", changes={"model.backbone.depth": depth}
        )
        for depth, variant in TEACHERS.items()
    }
    students = {
        f"lad_{depth}": Condition(
            f"LAD, R18 ← R{depth}",
            "configs/demo.py:lad",
            f"teacher_{depth}",
            {"model.backbone.depth": 18, "teacher.model.backbone.depth": depth},
        )
        for depth in TEACHERS
    }
    uniform = Condition("PAA with boxes weighted alike, R18", "configs/demo.py:teacher", changes=UNIFORM)
    return Study(
        question="Does a student of a small teacher lose by the teacher, or by the weight that LAD gives its boxes?",
        conditions={**teachers, "uniform": uniform, **students},
        comparisons=(
            Comparison("lad_18", "teacher_18"),
            Comparison("lad_10", "teacher_18"),
            Comparison("lad_34", "teacher_18"),
            Comparison("uniform", "teacher_18"),
        ),
    )
