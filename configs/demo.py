"""Narrow networks from scratch on drawn pictures: every method in minutes, without a GPU.

    python main.py --config=configs/demo.py:teacher    --workdir=runs/teacher
    python main.py --config=configs/demo.py:paa        --workdir=runs/paa
    python main.py --config=configs/demo.py:soft_label --workdir=runs/soft_label --config.teacher.path=runs/teacher
    python main.py --config=configs/demo.py:lad        --workdir=runs/lad        --config.teacher.path=runs/teacher
    python main.py --config=configs/demo.py:solad      --workdir=runs/solad      --config.teacher.path=runs/teacher
    python main.py --config=configs/demo.py:colad      --workdir=runs/colad

`scripts/demo.py` runs all of them. Other assigners than PAA, trained plainly or by a method:

    python main.py --config=configs/demo.py:ota         --workdir=runs/ota
    python main.py --config=configs/demo.py:teacher_ota --workdir=runs/teacher_ota
    python main.py --config=configs/demo.py:lad_ota     --workdir=runs/lad_ota --config.teacher.path=runs/teacher_ota
"""

from ml_collections import ConfigDict

from lad_jax.assign import ASSIGNERS
from lad_jax.configs import base

METHODS = ("teacher", "lad", "solad", "dynamic_lad", "colad")
"""Methods that an assigner serves, by their names in a variant: `teacher` is the plain training of a teacher, and that
of a student goes without a name."""
UNASSIGNED = ("soft_label", "free_anchor")
"""Methods whose losses need no assignment."""
VARIANTS = {
    **{assigner: ("", assigner) for assigner in ASSIGNERS},
    **{method: (method, "paa") for method in (*METHODS, *UNASSIGNED)},
    **{f"{method}_{assigner}": (method, assigner) for method in METHODS for assigner in ASSIGNERS if assigner != "paa"},
}
"""Method and assigner of each variant."""


def method_of(variant: str) -> str:
    """The method that a variant trains by."""
    method, _ = VARIANTS[variant]
    return "plain" if method in ("", "teacher") else method


def get_config(variant: str = "paa") -> ConfigDict:
    if variant not in VARIANTS:
        raise ValueError(
            f"variant {variant!r}; allowed: a method ({', '.join((*METHODS, *UNASSIGNED))}), an assigner "
            f"({', '.join(ASSIGNERS)}), or METHOD_ASSIGNER, such as lad_ota, but not with {' or '.join(UNASSIGNED)}"
        )
    config = base.get_config()
    config.method = method_of(variant)
    method, config.assigner.name = VARIANTS[variant]
    config.model = _network(config.model, depth=18 if method == "teacher" else 10)
    config.teacher.model = _network(config.teacher.model, depth=18)
    config.model.iou_branch = method != "free_anchor"
    # As published: the farthest side of an object on a level is at most the side of its anchors.
    config.assigner.fcos.range_strides = config.model.anchor_scale

    config.data.source = "synthetic"
    config.data.short_side, config.data.long_side = 128, 128
    config.data.filter_empty = False
    config.data.workers = 0

    config.optimizer.learning_rate = 0.08
    config.optimizer.warmup_steps = 50
    config.optimizer.weight_decay = 1e-4
    config.optimizer.clip_norm = 10.0
    config.optimizer.decay_epochs = (5, 6)
    config.train.batch_size = 8
    config.train.epochs = 7
    config.train.eval_every = 7
    config.evaluation.batch_size = 8
    return config


def _network(model: ConfigDict, *, depth: int) -> ConfigDict:
    """Make a network of 16 base channels on levels P2 to P5: small pictures need small strides and anchors."""
    model.backbone.depth = depth
    model.backbone.width = 16
    model.backbone.norm = "group"
    model.backbone.norm_groups = 8
    model.backbone.frozen_stages = -1
    model.backbone.pretrained = ""
    model.first_level = 2
    model.n_levels = 4
    model.anchor_scale = 4.0
    model.channels = 32
    model.tower_convs = 2
    model.norm_groups = 8
    return model
