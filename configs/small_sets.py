"""Small data sets of real pictures, from a ResNet-50 pretrained on ImageNet or from scratch, on a GPU or two cores.

    python main.py --config=configs/small_sets.py:bccd         --workdir=runs/bccd        # a GPU
    python main.py --config=configs/small_sets.py:bccd_cpu     --workdir=runs/bccd        # two cores
    python main.py --config=configs/small_sets.py:bccd_narrow  --workdir=runs/narrow      # a ResNet-18 from scratch
    python main.py --config=configs/small_sets.py:bccd_narrow  --workdir=runs/narrow_lad  --config.method=lad \
        --config.teacher.path=runs/bccd                                                   # the first one assigns for it

A teacher is the pretrained network of the same set and hardware. Expects the data and the weights in `../shared`, or
where the environment variable LAD_SHARED points.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from ml_collections import ConfigDict

from lad_jax.configs import base

SHARED = Path(os.environ.get("LAD_SHARED", Path(__file__).resolve().parents[2] / "shared"))
Sides = tuple[int, int]
"""`short_side` and `long_side` [pixels]."""


@dataclass(frozen=True)
class Set:
    """A data set, and how its pictures are resized and for how long they are trained on."""

    full: Sides
    cpu: Sides
    cpu_epochs: int
    cpu_frozen: int = 3
    """Stages of the pretrained backbone that are not trained on a CPU, where their backward pass takes most time."""
    anchor_scale: float = 8.0
    """Side of the anchors [strides]; half of it on a CPU, as the pictures. By 8 every sixth nucleus and every eighth
    fish would be unlike any anchor."""
    crowded: bool = False
    """Whether there are more than 100 objects in some pictures, so that more detections count."""


SETS = {
    "bccd": Set((480, 640), (240, 320), 8, cpu_frozen=2),
    "aquarium": Set((480, 640), (240, 320), 6, anchor_scale=4.0),
    "vehicles_openimages": Set((416, 416), (256, 256), 8),
    # Nuclei of 19 pixels, 44 a picture and up to 375. Pictures, most of 256 pixels, are enlarged for the strides; on a
    # CPU by 1.25 only: a plain run then takes 19 minutes on a core, 2.5 s a step.
    "dsb2018": Set((640, 1280), (320, 448), 3, anchor_scale=4.0, crowded=True),
}
KINDS = ("", "cpu", "narrow", "narrow_cpu")


def get_config(variant: str = "bccd") -> ConfigDict:
    name = next((name for name in SETS if variant == name or variant.startswith(f"{name}_")), "")
    kind = variant.removeprefix(name).removeprefix("_")
    if not name or kind not in KINDS:
        raise ValueError(
            f"variant {variant!r}; allowed: {', '.join(SETS)}, each alone or with "
            f"{', '.join(f'_{kind}' for kind in KINDS if kind)}"
        )
    config = base.get_config()
    for model in (config.model, config.teacher.model):
        _set_pretrained(model)
    if "narrow" in kind:
        _set_from_scratch(config.model)
    _set_data(config, name)
    config.dtype = "bfloat16"
    config.optimizer.clip_norm = 10.0
    config.optimizer.warmup_steps = 100
    config.optimizer.decay_epochs = (32, 44)
    config.train.epochs = 48
    config.train.batch_size = 16
    config.train.eval_every = 4
    if "cpu" in kind:
        _set_cpu(config, SETS[name])
    return config


def _set_data(config: ConfigDict, name: str) -> None:
    for split in ("train", "val"):
        config.data[split].images = str(SHARED / "data" / name / split)
        config.data[split].annotations = str(SHARED / f"data/{name}/{split}.json")
    config.data.short_side, config.data.long_side = SETS[name].full
    for model in (config.model, config.teacher.model):
        model.anchor_scale = SETS[name].anchor_scale
    if SETS[name].crowded:
        config.evaluation.postprocess.max_detections = 500
        config.evaluation.postprocess.pre_nms = 3000  # of a level, where several find each object


def _set_pretrained(model: ConfigDict) -> None:
    """Take the backbone from the weights in the shared folder, which are of the Caffe style."""
    model.backbone.style = "caffe"
    model.channel_order = "bgr"
    model.pixel_mean, model.pixel_std = (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)
    model.backbone.pretrained = str(SHARED / "weights/resnet50_imagenet_caffe.npz")


def _set_from_scratch(model: ConfigDict) -> None:
    """Take a ResNet-18 whose weights are drawn."""
    default = base.get_config().model
    model.channel_order, model.pixel_mean, model.pixel_std = (
        default.channel_order,
        default.pixel_mean,
        default.pixel_std,
    )
    model.backbone.depth = 18
    model.backbone.style = "pytorch"
    model.backbone.norm = "group"
    model.backbone.frozen_stages = -1
    model.backbone.pretrained = ""


def _set_cpu(config: ConfigDict, data: Set) -> None:
    """Halve resolution and anchors, narrow pyramid and head, and train fewer epochs with smaller batches."""
    config.data.short_side, config.data.long_side = data.cpu
    config.data.canvases = 2
    config.dtype = "float32"
    for model in (config.model, config.teacher.model):
        model.channels = 128
        model.tower_convs = 2
        model.anchor_scale /= 2
        if model.backbone.depth == 50:
            model.backbone.frozen_stages = data.cpu_frozen
        else:
            model.backbone.width = 32
            config.optimizer.learning_rate = 0.02
    config.train.epochs, config.train.eval_every = data.cpu_epochs, 2
    config.optimizer.decay_epochs = (data.cpu_epochs - 2, data.cpu_epochs - 1)
    config.train.batch_size = 4
    config.train.log_every = 20
