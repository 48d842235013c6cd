"""What `configs/your_data.py` could vary beside the mirror, each alone, on photographs of a small set; on CPUs."""

from lad_jax.study import Comparison, Condition, Study

CONFIG = "configs/small_sets.py:aquarium_cpu"
ADDITIONS = {
    "scale": ("random scales", {"data.scale_jitter": (0.5, 2.0)}),
    "colour": ("random colours", {"data.colour_jitter": 0.5}),
    "repeats": ("rare classes repeated", {"data.repeat_threshold": 0.3}),
    # Repeated pictures make an epoch a third longer: this one takes as many steps, 896 and 906.
    "longer": ("a third more epochs", {"train.epochs": 8}),
    "cosine": ("cosine schedule", {"optimizer.schedule": "cosine"}),
}


def get_study() -> Study:
    return Study(
        question="Does a recipe for few pictures gain by more variation, or by another schedule?",
        conditions={
            "paa": Condition("as it is", CONFIG),
            **{name: Condition(label, CONFIG, changes=changes) for name, (label, changes) in ADDITIONS.items()},
        },
        comparisons=(*(Comparison(name, "paa") for name in ADDITIONS), Comparison("repeats", "longer")),
        seeds=3,
    )
