"""A smaller teacher and a larger student on drawn pictures: the paper's Table 3 in small."""

from lad_jax.study import Comparison, Condition, Study

DEPTHS = {"model.backbone.depth": 18, "teacher.model.backbone.depth": 10}


def get_study() -> Study:
    return Study(
        question="Can a smaller network teach a larger one, and by what: its assignment, or its predictions?",
        conditions={
            "teacher": Condition("PAA, R10", "configs/demo.py:paa"),
            "paa": Condition("PAA, R18", "configs/demo.py:teacher"),
            "lad": Condition("LAD, R18 ← R10", "configs/demo.py:lad", "teacher", DEPTHS),
            "soft_label": Condition("soft label, R18 ← R10", "configs/demo.py:soft_label", "teacher", DEPTHS),
            "solad": Condition("SoLAD, R18 ← R10", "configs/demo.py:solad", "teacher", DEPTHS),
        },
        comparisons=(
            Comparison("lad", "paa"),
            Comparison("soft_label", "paa"),
            Comparison("solad", "paa"),
        ),
    )
