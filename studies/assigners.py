"""Plain training against LAD for every assigner that predictions have a say in; static ones plain, beside them."""

from lad_jax.study import Comparison, Condition, Study

DYNAMIC = {
    "paa": "PAA",
    "ota": "OTA",
    "simota": "SimOTA",
    "tal": "TAL",
    "mal": "MAL",
    "hungarian": "Hungarian",
    "dynamic_soft_label": "RTMDet's",
}
STATIC = {"max_iou": "MaxIoU", "atss": "ATSS", "fcos": "FCOS"}


def get_study() -> Study:
    conditions = {}
    for name, label in DYNAMIC.items():
        ending = "" if name == "paa" else f"_{name}"
        teacher = f"teacher_{name}"
        conditions[teacher] = Condition(f"{label}, R18", f"configs/demo.py:teacher{ending}")
        conditions[name] = Condition(f"{label}, R10", f"configs/demo.py:{name}")
        conditions[f"lad_{name}"] = Condition(f"LAD by {label}, R10 ← R18", f"configs/demo.py:lad{ending}", teacher)
    for name, label in STATIC.items():
        conditions[name] = Condition(f"{label}, R10", f"configs/demo.py:{name}")
    return Study(
        question="Does a teacher's assignment help whatever the assigner is?",
        conditions=conditions,
        comparisons=tuple(Comparison(f"lad_{name}", name) for name in DYNAMIC),
    )
