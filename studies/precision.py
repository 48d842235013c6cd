"""The demo in bfloat16 beside float32, teacher and student alike. Six runs a seed, two minutes each."""

from lad_jax.study import Comparison, Condition, Study

BFLOAT16 = {"dtype": "bfloat16"}


def get_study() -> Study:
    return Study(
        question="Does it cost AP to compute the convolutions in bfloat16?",
        conditions={
            "paa": Condition("PAA, R10", "configs/demo.py:paa"),
            "teacher": Condition("PAA, R18", "configs/demo.py:teacher"),
            "lad": Condition("LAD, R10 ← R18", "configs/demo.py:lad", teacher="teacher"),
            "paa_bfloat16": Condition("PAA, R10, bfloat16", "configs/demo.py:paa", changes=BFLOAT16),
            "teacher_bfloat16": Condition("PAA, R18, bfloat16", "configs/demo.py:teacher", changes=BFLOAT16),
            "lad_bfloat16": Condition("LAD, R10 ← R18, bfloat16", "configs/demo.py:lad", "teacher_bfloat16", BFLOAT16),
        },
        comparisons=(
            Comparison("paa_bfloat16", "paa"),
            Comparison("teacher_bfloat16", "teacher"),
            Comparison("lad_bfloat16", "lad"),
        ),
        seeds=5,
    )
