"""PAA with a ResNet-50 pretrained on ImageNet, on a folder of your pictures.

    python main.py --config=configs/your_data.py:data/cells --workdir=runs/cells

After the colon: the folder, with the `train.json` and `val.json` that an importer has written. Copy this file to change
more than a command line should hold.
"""

from ml_collections import ConfigDict

from lad_jax.configs import base


def get_config(folder: str = "data/mine") -> ConfigDict:
    config = base.get_config()
    for split in ("train", "val"):
        config.data[split].images = folder
        config.data[split].annotations = f"{folder}/{split}.json"
    config.data.short_side, config.data.long_side = 480, 640  # pictures are resized to fit both
    config.data.filter_empty = False  # pictures without objects say what is none
    # Or from a detector of any classes (docs/checkpoints.md): config.model.pretrained = "runs/cells"
    config.model.backbone.pretrained = "hf://timm/resnet50.tv_in1k"
    config.optimizer.clip_norm = 10.0
    config.optimizer.warmup_steps = 100
    config.train.epochs = 48
    config.train.eval_every = 4
    config.train.checkpoint_every = 100
    return config
