"""PAA, LAD, SoLAD and CoLAD on photographs, from a ResNet-50 pretrained on ImageNet; on CPUs, 20 minutes a run or less.

No larger pretrained backbone is at hand: the teacher is a twin of its student, trained plainly, which is the baseline.
"""

from lad_jax.study import Comparison, Condition, Study

SETS = ("aquarium", "vehicles_openimages", "dsb2018", "bccd")


def get_study(kind: str = "_cpu") -> Study:
    config = "configs/small_sets.py:{data}" + kind
    return Study(
        question="Does a network of the same size, trained plainly, assign better for a new one than that for itself?",
        conditions={
            "paa": Condition("PAA", config),
            "lad": Condition("LAD", config, "paa", {"method": "lad"}),
            "solad": Condition("SoLAD", config, "paa", {"method": "solad"}),
            "colad": Condition("CoLAD", config, changes={"method": "colad"}),
        },
        comparisons=(Comparison("lad", "paa"), Comparison("solad", "paa"), Comparison("colad", "paa")),
        data=SETS,
    )
