"""PAA with a ResNet-50 pretrained on ImageNet, on BCCD: blood cells, 292 training and 72 validation pictures.

    python main.py --config=configs/bccd_paa_r50.py --workdir=runs/bccd       # a GPU
    python main.py --config=configs/bccd_paa_r50.py:cpu --workdir=runs/bccd   # two cores, under 45 minutes

Expects the data and the weights in `../shared`, or where the environment variable LAD_SHARED points.
"""

import os
from pathlib import Path

from ml_collections import ConfigDict

from configs import base

SHARED = Path(os.environ.get("LAD_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def get_config(variant: str = "full") -> ConfigDict:
    config = base.get_config()
    for model in (config.model, config.teacher.model):
        model.backbone.style = "caffe"
        model.channel_order = "bgr"
        model.pixel_mean, model.pixel_std = (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)
    config.model.backbone.pretrained = str(SHARED / "weights/resnet50_imagenet_caffe.npz")
    for split in ("train", "val"):
        config.data[split].images = str(SHARED / "data/bccd" / split)
        config.data[split].annotations = str(SHARED / f"data/bccd/{split}.json")
    config.data.short_side, config.data.long_side = 480, 640
    config.model.dtype = "bfloat16"
    config.optimizer.clip_norm = 10.0
    config.optimizer.warmup_steps = 100
    config.optimizer.decay_epochs = (32, 44)
    config.train.epochs = 48
    config.train.batch_size = 16
    config.train.eval_every = 4
    if variant == "cpu":
        _small(config)
    elif variant != "full":
        raise ValueError(f"variant {variant!r}; allowed: full, cpu")
    return config


def _small(config: ConfigDict) -> None:
    """Halve the resolution, narrow pyramid and head, and train fewer epochs with smaller batches."""
    config.data.short_side, config.data.long_side = 240, 320
    for model in (config.model, config.teacher.model):
        model.dtype = "float32"
        model.channels = 128
        model.tower_convs = 2
        model.anchor_scale = 4.0
        model.backbone.frozen_stages = 2
    config.optimizer.decay_epochs = (6, 7)
    config.train.epochs = 8
    config.train.batch_size = 4
    config.train.eval_every = 4
    config.train.log_every = 20
