"""A start from a detector of other classes against one from a classifier's backbone, on a small set; on CPUs."""

from lad_jax.study import Comparison, Condition, Study

CONFIG = "configs/small_sets.py:{}_cpu"


def get_study() -> Study:
    return Study(
        question="Does a detector of other classes, itself trained on few pictures, give a better start than ImageNet?",
        conditions={
            "imagenet": Condition("from ImageNet", CONFIG.format("aquarium")),
            "vehicles": Condition("vehicles, from ImageNet", CONFIG.format("vehicles_openimages")),
            "detector": Condition("from the detector of vehicles", CONFIG.format("aquarium"), start="vehicles"),
        },
        comparisons=(Comparison("detector", "imagenet"),),
        seeds=3,
    )
