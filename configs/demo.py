"""Narrow networks from scratch on drawn pictures: every method in minutes, without a GPU.

    python main.py --config=configs/demo.py:teacher    --workdir=runs/teacher
    python main.py --config=configs/demo.py:paa        --workdir=runs/paa
    python main.py --config=configs/demo.py:soft_label --workdir=runs/soft_label --config.teacher.path=runs/teacher
    python main.py --config=configs/demo.py:lad        --workdir=runs/lad        --config.teacher.path=runs/teacher
    python main.py --config=configs/demo.py:solad      --workdir=runs/solad      --config.teacher.path=runs/teacher
    python main.py --config=configs/demo.py:colad      --workdir=runs/colad

`scripts/demo.py` runs all of them.
"""

from ml_collections import ConfigDict

from configs import base

VARIANTS = ("teacher", "paa", "soft_label", "lad", "solad", "dynamic_lad", "colad")


def method_of(variant: str) -> str:
    """The method that a variant trains by."""
    return "plain" if variant in ("teacher", "paa") else variant


def get_config(variant: str = "paa") -> ConfigDict:
    if variant not in VARIANTS:
        raise ValueError(f"variant {variant!r}; allowed: {', '.join(VARIANTS)}")
    config = base.get_config()
    config.method = method_of(variant)
    config.model = _network(config.model, depth=18 if variant == "teacher" else 10)
    config.teacher.model = _network(config.teacher.model, depth=18)

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
    model.first_level = 2
    model.n_levels = 4
    model.anchor_scale = 4.0
    model.channels = 32
    model.tower_convs = 2
    model.norm_groups = 8
    return model
