"""A small network from scratch on a folder of your pictures: no GPU, no pretrained weights.

    python main.py --config=configs/your_data_cpu.py:data/cells --workdir=runs/cells

After the colon: the folder, as for your_data.py.
"""

from ml_collections import ConfigDict

from lad_jax.configs import your_data


def get_config(folder: str = "data/mine") -> ConfigDict:
    config = your_data.get_config(folder)
    config.data.short_side, config.data.long_side = 240, 320
    for model in (config.model, config.teacher.model):
        model.backbone.depth = 18
        model.backbone.width = 32
        model.backbone.norm = "group"
        model.backbone.frozen_stages = -1
        model.backbone.pretrained = ""
        model.anchor_scale = 4.0
        model.channels = 128
        model.tower_convs = 2
    config.optimizer.learning_rate = 0.02
    config.train.epochs = 12
    config.train.batch_size = 4
    config.train.log_every = 20
    config.train.checkpoint_every = 20
    return config
