"""What the rows of the paper share: data, networks, schedules, and how a row names its teacher. No config by itself.

docs/paper.md lists the rows, and says what is common to all of them.
"""

import os
from dataclasses import replace
from types import ModuleType

from ml_collections import ConfigDict

from configs import base
from lad_jax.config import to_config
from lad_jax.models import ResNetOptions, SwinOptions
from lad_jax.models.swin import SWIN

COCO = os.environ.get("COCO", "data/coco")
"""The folder of COCO 2017 in its official layout: annotations/, train2017/, val2017/, test2017/."""

R18, R50, R101 = (
    ResNetOptions(depth=depth, pretrained=f"hf://timm/resnet{depth}.tv_in1k/model.safetensors")
    for depth in (18, 50, 101)
)
X101 = replace(R101, groups=64, group_width=4, pretrained="hf://timm/resnext101_64x4d.gluon_in1k/model.safetensors")
X101_DCN = replace(X101, deformable_stages=(3, 4))
"""As in the original PAA, where the last convolution of each of the head's towers is deformable too."""
SWIN_B = replace(SWIN["base"], pretrained="hf://timm/swin_base_patch4_window7_224.ms_in1k/model.safetensors")

SCHEDULES = {"1x": (12, (8, 11)), "1.5x": (18, (12, 16)), "2x": (24, (16, 22)), "3x": (36, (28, 34))}
"""Epochs, and after which of them the learning rate falls."""

PICTURES_A_DEVICE = {"paa": 2, "soft_label": 8, "lad": 8, "solad": 8, "dynamic_lad": 0, "colad": 4}
"""What losses are divided by sums over, as in the released configs: mmdetection's of PAA, the authors' of the others.
On how many devices the paper's own runs were is open. 0, the whole batch, where nothing is released."""


def row(backbone: ResNetOptions | SwinOptions, schedule: str, *, method: str = "paa") -> ConfigDict:
    """A config with this student, by the recipe of section 4.1."""
    config = base.get_config()
    config.method = method
    config.losses.normaliser_pictures = PICTURES_A_DEVICE[method]
    set_backbone(config.model, backbone)
    for split in ("train", "val"):
        config.data[split].images = f"{COCO}/{split}2017"
        config.data[split].annotations = f"{COCO}/annotations/instances_{split}2017.json"
    config.data.test.images = f"{COCO}/test2017"
    config.data.test.annotations = f"{COCO}/annotations/image_info_test-dev2017.json"
    config.train.epochs, config.optimizer.decay_epochs = SCHEDULES[schedule]
    # The references report the last epoch. Of several that are evaluated the best on val would be taken.
    config.train.eval_every = config.train.epochs
    return config


def set_backbone(model: ConfigDict, backbone: ResNetOptions | SwinOptions) -> None:
    model.backbone = to_config(backbone)
    model.deformable_towers = backbone == X101_DCN


def set_teacher(config: ConfigDict, trained_by: ModuleType) -> None:
    """The network of another row teaches, or, in CoLAD, is what the teacher starts from."""
    name = trained_by.__name__.removeprefix("configs.")
    config.teacher.config, config.teacher.path = f"configs/{name}.py", f"runs/{name}"
    config.teacher.model = trained_by.get_config().model


def set_multi_scale(config: ConfigDict) -> None:
    """Short sides of 640 to 800 pixels (section 4.3); a fifth canvas saves a quarter of the padding."""
    config.data.short_sides = tuple(range(640, 801))
    config.data.canvases = 5


def set_swin_recipe(config: ConfigDict) -> None:
    """Optimiser, schedule and pictures of Swin's detectors, whose setting section 4.4 follows."""
    config.optimizer.kind = "adamw"
    config.optimizer.learning_rate = 1e-4
    config.optimizer.weight_decay = 0.05
    config.optimizer.no_decay = ("relative_position_bias_table", "norm")
    config.optimizer.decay_epochs = (27, 33)
    config.data.short_sides = tuple(range(480, 801, 32))
    config.data.crop = 0.5
