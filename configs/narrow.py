"""A row of paper.py or assigners.py with narrow networks and a few steps on drawn pictures: its whole chain in minutes.

    python -m lad_jax recipe configs/narrow.py:solad_r50_r101_1x --run
    python main.py --config=configs/narrow.py:paa_r101_1x --workdir=runs/narrow_paa_r101_1x

Method, heads, families of backbones, optimiser and augmentation are the row's; its numbers mean nothing.
"""

from ml_collections import ConfigDict

from lad_jax.configs import assigners, paper
from lad_jax.options import run_name

SIZE = 96
"""Height and width of the pictures [pixels]."""
SHRINK = SIZE / 800
ROWS = assigners.ROWS | paper.ROWS


def get_config(row: str = "paa_r50_1x") -> ConfigDict:
    table = assigners if row in assigners.ROWS else paper
    config = table.get_config(row)
    for model in (config.model, config.teacher.model):
        _shrink_network(model)
    if config.teacher.config:
        config.teacher.config = f"configs/narrow.py:{table.ROWS[row].teacher}"
        config.teacher.path = f"runs/{run_name(config.teacher.config)}"

    config.report.pictures = 0
    data = config.data
    data.source = "synthetic"
    data.synthetic.train, data.synthetic.val, data.synthetic.size = 16, 8, SIZE
    data.short_side, data.long_side = SIZE, 2 * SIZE
    for name in ("short_sides", "crop_short_sides", "crop_range"):
        data[name] = tuple(sorted({round(side * SHRINK) for side in data[name]}))
    data.workers = 0
    data.filter_empty = False

    config.optimizer.warmup_steps = 1
    config.optimizer.decay_epochs = ()
    config.train.batch_size = 8
    config.train.epochs = config.train.eval_every = 1
    config.train.log_every = 1
    config.evaluation.batch_size = 8
    return config


def _shrink_network(model: ConfigDict) -> None:
    backbone = model.backbone
    backbone.pretrained = ""
    if backbone.family == "swin":
        backbone.embed, backbone.depths, backbone.heads, backbone.window = 8, (1, 1, 1, 1), (1, 2, 4, 8), 4
    else:
        # ResNeXt and deformable convolutions need bottlenecks, which the shallowest network does not have.
        bottlenecks = backbone.groups > 1 or backbone.deformable_stages
        backbone.width = 16 if backbone.depth == 101 and not bottlenecks else 8
        backbone.depth = 14 if bottlenecks else 10
        backbone.groups = min(backbone.groups, 4)
        backbone.norm, backbone.norm_groups, backbone.frozen_stages = "group", 4, -1
    model.n_levels = 4
    model.anchor_scale = 4.0
    model.channels = 16
    model.tower_convs = 1
    model.norm_groups = 4
