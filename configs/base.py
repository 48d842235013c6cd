"""The paper's recipe: PAA with a ResNet-50 pretrained on ImageNet, on COCO, 12 epochs. Other configs change it.

The learning rate falls at shares of the run, after 8 and 11 of 12 epochs: another number of epochs needs no more.
"""

from ml_collections import ConfigDict

from lad_jax import RunOptions
from lad_jax.config import to_config


def get_config() -> ConfigDict:
    config = to_config(RunOptions())
    for model in (config.model, config.teacher.model):  # the teacher's is for methods that train it
        model.backbone.pretrained = "hf://timm/resnet50.tv_in1k"
    return config
