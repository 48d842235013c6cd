"""Every method on drawn pictures: the paper's Tables 2 and 5 in small. Eight runs a seed, two minutes each."""

from lad_jax.study import Comparison, Condition, Study


def get_study() -> Study:
    return Study(
        question="Does a student learn more by a teacher's assignment than by its own, and do two by a common one?",
        conditions={
            "teacher": Condition("PAA, R18", "configs/demo.py:teacher"),
            "paa": Condition("PAA, R10", "configs/demo.py:paa"),
            "uniform": Condition(
                "PAA with boxes weighted alike, R10", "configs/demo.py:paa", changes={"losses.box_weighting": "uniform"}
            ),
            "lad": Condition("LAD, R10 ← R18", "configs/demo.py:lad", teacher="teacher"),
            "solad": Condition("SoLAD, R10 ← R18", "configs/demo.py:solad", teacher="teacher"),
            "colad": Condition("CoLAD, R10 ↔ R18", "configs/demo.py:colad"),
            "dynamic_lad": Condition("dynamic LAD, R10 ← R18", "configs/demo.py:dynamic_lad", teacher="teacher"),
            "soft_label": Condition("soft label, R10 ← R18", "configs/demo.py:soft_label", teacher="teacher"),
        },
        comparisons=(
            Comparison("lad", "paa"),
            Comparison("solad", "paa"),
            Comparison("colad", "paa"),
            Comparison("colad", "teacher", network="teacher"),
            Comparison("dynamic_lad", "paa"),
            Comparison("soft_label", "paa"),
            # LAD's recipe differs from PAA's in this weight too: what is left is the assignment's.
            Comparison("lad", "uniform"),
        ),
    )
