"""Two steps and an evaluation on a few pictures of COCO: 80 classes, ids with gaps, crowd regions.

    python main.py --config=configs/coco_smoke.py --workdir=runs/smoke

Expects the pictures in `../shared/data/coco`, or below where the environment variable LAD_SHARED points.
"""

import os
from pathlib import Path

from ml_collections import ConfigDict

from lad_jax.configs import demo

SHARED = Path(os.environ.get("LAD_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def get_config() -> ConfigDict:
    config = demo.get_config("paa")
    config.data.source = "coco"
    for split in ("train", "val"):
        config.data[split].images = str(SHARED / f"data/coco/{split}2017")
        config.data[split].annotations = str(SHARED / f"data/coco/annotations/instances_{split}2017.json")
    config.data.short_side, config.data.long_side = 192, 256
    config.data.filter_empty = True
    config.data.workers = 2
    # Two canvases, and a batch that holds the pictures of either: an epoch of two steps.
    config.data.canvases = 2
    config.train.batch_size = 64
    config.train.epochs, config.optimizer.decay_epochs = 1, ()
    config.train.eval_every = 1
    config.train.log_every = 1
    return config
