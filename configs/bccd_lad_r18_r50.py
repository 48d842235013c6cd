"""LAD on BCCD: a ResNet-18 from scratch, trained by the label assignment of a trained ResNet-50.

    python main.py --config=configs/bccd_lad_r18_r50.py --workdir=runs/bccd-lad --config.teacher.path=runs/bccd
    python main.py --config=configs/bccd_lad_r18_r50.py:cpu --workdir=runs/bccd-lad --config.teacher.path=runs/bccd

The teacher: `configs/bccd_paa_r50.py`, of the same variant.
"""

from ml_collections import ConfigDict

from configs import bccd_paa_r50
from lad_jax.models.detector import ModelOptions


def get_config(variant: str = "full") -> ConfigDict:
    config = bccd_paa_r50.get_config(variant)
    config.method = "lad"
    scratch = ModelOptions()
    config.model.channel_order = scratch.channel_order
    config.model.pixel_mean, config.model.pixel_std = scratch.pixel_mean, scratch.pixel_std
    config.model.backbone.depth = 18
    config.model.backbone.style = "pytorch"
    config.model.backbone.norm = "group"
    config.model.backbone.frozen_stages = -1
    config.model.backbone.pretrained = ""
    if variant == "cpu":
        config.model.backbone.width = 32
        config.optimizer.learning_rate = 0.02
    return config
