"""PAA with a ResNet-50 pretrained on ImageNet, on a folder of your pictures.

    python main.py --config=configs/your_data.py:data/cells --workdir=runs/cells --config.dtype=bfloat16  # a GPU

After the colon: the folder, with the `train.json` and `val.json` that an importer has written, or as Roboflow exports
COCO's format. Copy this file to change more than a command line should hold.
"""

from pathlib import Path

from ml_collections import ConfigDict

from lad_jax.configs import base

SPLITS = {"train": ("train",), "val": ("valid", "val", "test")}
"""Folders of Roboflow's that are taken for each split: the first that is there."""
ROBOFLOW = "_annotations.coco.json"
"""Name of the annotations in each."""


def get_config(folder: str = "data/mine") -> ConfigDict:
    config = base.get_config()
    for split, names in SPLITS.items():
        theirs = [f"{folder}/{name}" for name in names if Path(folder, name, ROBOFLOW).is_file()]
        images, annotations = (theirs[0], f"{theirs[0]}/{ROBOFLOW}") if theirs else (folder, f"{folder}/{split}.json")
        config.data[split].images, config.data[split].annotations = images, annotations
    config.data.short_side, config.data.long_side = 480, 640  # pictures are resized to fit both
    config.data.filter_empty = False  # pictures without objects say what is none
    # From a detector of any classes (docs/checkpoints.md): config.model.pretrained = "runs/cells"
    config.optimizer.clip_norm = 10.0
    config.optimizer.warmup_steps = 100
    config.train.epochs = 48
    config.train.eval_every = 4
    config.train.checkpoint_every = 100
    return config
